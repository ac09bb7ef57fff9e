// Three brokers, and the one that leads a partition falls silent without closing its connections,
// as a machine does that loses its network.

#include <gtest/gtest.h>

#include "infra/errors.hpp"
#include "tests/kafka/topic_under_test.hpp"
#include "tests/projections/log_builder.hpp"
#include "tests/support/eventually.hpp"

namespace contactd::test {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds leader_wait_max{120};
// librdkafka waits a minute for an answer if it isn't told otherwise. On an idle machine the silent
// leader is given up after seven seconds.
constexpr std::chrono::seconds back_wait_max{40};

bool claims_and_reads_it(infra::EventLog& log) {
  try {
    const infra::Claim claim = log.claim(0, claim_proposal());
    return log.wait(0, claim.epoch, 1s);
  } catch (const infra::LogUnavailable&) {
    return false;
  }
}

TEST(KafkaLeader, ThatFallsSilentIsReplacedForTheReaderToo) {
  CONTACTD_NEEDS_KAFKA();
  KafkaBroker brokers{3};
  infra::KafkaConfig config = new_topic();
  config.bootstrap = brokers.bootstrap();
  config.replication = 3;
  config.min_insync = 2;
  infra::Metrics metrics;
  const auto log = infra::open_kafka_event_log(config, metrics);
  ASSERT_TRUE(eventually([&] { return claims_and_reads_it(*log); }, leader_wait_max));
  const int leader = brokers.leader_of(config.topic, 0);
  brokers.pause(leader);
  EXPECT_TRUE(eventually([&] { return claims_and_reads_it(*log); }, back_wait_max));
  brokers.resume(leader);
}

}  // namespace
}  // namespace contactd::test
