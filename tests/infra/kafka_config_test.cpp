#include "infra/kafka_config.hpp"

#include <gtest/gtest.h>

namespace contactd::test {
namespace {

using infra::kafka_property;
using infra::problem_with;

TEST(KafkaConfig, SplitsAPropertyAtItsFirstEqualsSign) {
  EXPECT_EQ(kafka_property("sasl.password=a=b"),
            (infra::KafkaConfig::Property{"sasl.password", "a=b"}));
  EXPECT_EQ(kafka_property("client.rack="), (infra::KafkaConfig::Property{"client.rack", ""}));
  EXPECT_EQ(kafka_property("=x"), std::nullopt);
  EXPECT_EQ(kafka_property("security.protocol"), std::nullopt);
}

TEST(KafkaConfig, TakesWhatLibrdkafkaTakes) {
  EXPECT_EQ(problem_with({"security.protocol", "sasl_ssl"}), std::nullopt);
  EXPECT_EQ(problem_with({"session.timeout.ms", "10000"}), std::nullopt);
}

TEST(KafkaConfig, RefusesWhatItsPromisesRestOn) {
  for (const char* name : {"acks", "enable.idempotence", "isolation.level", "transactional.id",
                           "group.id", "bootstrap.servers", "auto.offset.reset"}) {
    const auto problem = problem_with({name, "1"});
    ASSERT_TRUE(problem.has_value()) << name;
    EXPECT_NE(problem->find(name), std::string::npos) << *problem;
  }
}

TEST(KafkaConfig, NamesAWrongPropertyAndNeverShowsItsValue) {
  EXPECT_EQ(problem_with({"no.such", "x"}), "librdkafka has no property no.such");
  const auto problem = problem_with({"socket.timeout.ms", "hunter2"});
  ASSERT_TRUE(problem.has_value());
  EXPECT_NE(problem->find("socket.timeout.ms"), std::string::npos);
  EXPECT_EQ(problem->find("hunter2"), std::string::npos);
}

}  // namespace
}  // namespace contactd::test
