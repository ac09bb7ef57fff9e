#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "infra/errors.hpp"
#include "tests/domain/samples.hpp"
#include "tests/kafka/topic_admin.hpp"
#include "tests/kafka/topic_under_test.hpp"

// A topic that would lose facts is refused, with a sentence that says what to do.
namespace contactd::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr std::uint32_t first_partition = 0;

std::string refusal_of(const infra::KafkaConfig& config) {
  infra::Metrics metrics;
  try {
    infra::open_kafka_event_log(config, metrics);
  } catch (const infra::LogUnavailable& problem) {
    return problem.what();
  }
  return {};
}

TEST(KafkaTopic, IsCreatedSafeAndOpenedAgain) {
  infra::KafkaConfig config = new_topic();
  config.partitions = 3;
  infra::Metrics metrics;
  const std::string identity = infra::open_kafka_event_log(config, metrics)->identity();
  EXPECT_THAT(identity, HasSubstr(config.topic));
  config.create_topic = false;
  config.partitions = 5;  // counts only where a topic is created
  const auto log = infra::open_kafka_event_log(config, metrics);
  EXPECT_EQ(log->partition_count(), 3U);
  EXPECT_EQ(log->identity(), identity);
}

TEST(KafkaTopic, OfNoBrokerIsAwayForAReasonThatIsSaid) {
  infra::KafkaConfig config = new_topic();
  config.bootstrap = "127.0.0.1:1";
  infra::Metrics metrics;
  try {
    infra::open_kafka_event_log(config, metrics);
    FAIL() << "nobody listens there";
  } catch (const infra::LogAway& problem) {
    EXPECT_THAT(problem.what(), AllOf(HasSubstr("no Kafka broker answers at 127.0.0.1:1"),
                                      HasSubstr("Connection refused")));
  }
}

TEST(KafkaTopic, ThatIsMissingIsRefused) {
  infra::KafkaConfig config = new_topic();
  config.create_topic = false;
  EXPECT_THAT(refusal_of(config),
              AllOf(HasSubstr("doesn't exist"), HasSubstr("--kafka-create-topic")));
}

TEST(KafkaTopic, OfMoreReplicasThanBrokersIsNotCreated) {
  infra::KafkaConfig config = new_topic();
  config.replication = 3;
  EXPECT_THAT(refusal_of(config),
              AllOf(HasSubstr("can't be created"), HasSubstr("--kafka-replication")));
}

struct UnsafeSetting {
  const char* setting;
  const char* value;
  const char* safe;
};
class UnsafeTopic : public testing::TestWithParam<UnsafeSetting> {};

TEST_P(UnsafeTopic, IsRefusedUnlessAllowed) {
  const auto [setting, value, safe] = GetParam();
  infra::KafkaConfig config = new_topic();
  if (std::string{setting} == "min.insync.replicas") config.min_insync = 2;
  TopicAdmin{config}.create({{setting, value}});
  EXPECT_THAT(refusal_of(config),
              AllOf(HasSubstr(std::string{setting} + "=" + value),
                    HasSubstr("--add-config " + std::string{setting} + "=" + safe),
                    HasSubstr("--kafka-allow-unsafe")));
  config.allow_unsafe = true;
  EXPECT_EQ(refusal_of(config), "");
}

INSTANTIATE_TEST_SUITE_P(
    Settings, UnsafeTopic,
    testing::Values(UnsafeSetting{"retention.ms", "604800000", "-1"},
                    UnsafeSetting{"retention.bytes", "1000000000", "-1"},
                    UnsafeSetting{"cleanup.policy", "compact", "delete"},
                    UnsafeSetting{"cleanup.policy", "compact,delete", "delete"},
                    UnsafeSetting{"unclean.leader.election.enable", "true", "false"},
                    UnsafeSetting{"min.insync.replicas", "1", "2"},
                    UnsafeSetting{"max.message.bytes", "20000", "1048588"}));

TEST(KafkaTopic, OfTooFewReplicasIsRefused) {
  infra::KafkaConfig config = new_topic();
  TopicAdmin{config}.create({});
  config.replication = 2;
  EXPECT_THAT(refusal_of(config),
              AllOf(HasSubstr("only 1 replicas"), HasSubstr("--kafka-replication 1")));
}

TEST(KafkaTopic, WhosePartitionsWereAddedToIsRefused) {
  const infra::KafkaConfig config = new_topic();
  infra::Metrics metrics;
  infra::open_kafka_event_log(config, metrics)
      ->claim(first_partition, claim_proposal("w", config.partitions));
  EXPECT_EQ(refusal_of(config), "");
  TopicAdmin{config}.add_partitions(config.partitions + 1);
  EXPECT_THAT(refusal_of(config),
              AllOf(HasSubstr("had 2 partitions"), HasSubstr("restore the topic as it was")));
}

TEST(KafkaTopic, WhoseRecordsWereDeletedIsRefused) {
  const infra::KafkaConfig config = new_topic();
  infra::Metrics metrics;
  infra::open_kafka_event_log(config, metrics)
      ->claim(first_partition, claim_proposal("w", config.partitions));
  TopicAdmin{config}.delete_records(first_partition, 1);
  EXPECT_THAT(refusal_of(config),
              AllOf(HasSubstr("no records before offset 1"), HasSubstr("backup")));
}

TEST(KafkaTopic, ThatLosesRecordsWhileItIsReadIsLoud) {
  const infra::KafkaConfig config = new_topic();
  infra::Metrics metrics;
  const auto log = infra::open_kafka_event_log(config, metrics);
  log->claim(first_partition, claim_proposal("w", config.partitions));
  TopicAdmin{config}.delete_records(first_partition, 1);
  const auto read_until_refused = [&] {
    for (;;) {
      log->wait(first_partition, 0, std::chrono::seconds{30});
      if (!log->read(first_partition, 0, 10).entries.empty()) return;
    }
  };
  EXPECT_THROW(read_until_refused(), infra::LogUnavailable);
}

}  // namespace
}  // namespace contactd::test
