// The service and its broker, ended under load in whatever they do.

#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "tests/system/fleet.hpp"
#include "tests/system/kafka_topic.hpp"

namespace contactd::test {
namespace {

constexpr std::uint64_t answers_before_kill_min = 20;
constexpr std::uint64_t answers_before_kill_max = 1500;

std::uint64_t some_answers(std::mt19937_64& random) {
  return std::uniform_int_distribution{answers_before_kill_min, answers_before_kill_max}(random);
}

TEST(KafkaCrash, OfTheServerLosesNothingAndAppliesNothingTwice) {
  CONTACTD_NEEDS_KAFKA();
  const std::uint64_t seed = crash_seed();
  std::mt19937_64 random{seed};
  const KafkaTopic topic = new_topic(*shared_kafka_broker());
  ServerProcess server{topic.settings};
  Fleet fleet{{&server}, seed, topic.config};
  const int rounds = kafka_rounds();
  for (int round = 1; round <= rounds && !testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    fleet.load(some_answers(random), [&] { server.kill(); });
    server.start();
    fleet.settle();
    fleet.expect_promises_kept();
  }
  server.kill();
  fleet.expect_log_agrees(Ended::by_kill);

  std::filesystem::remove_all(server.data_dir() / "projections");
  server.start();
  fleet.settle();
  fleet.expect_promises_kept();
  EXPECT_EQ(server.stop(), exited(0));
  fleet.expect_log_agrees(Ended::by_kill);
}

TEST(KafkaCrash, OfTheBrokerLosesNothingAndTheServiceIsBackByItself) {
  CONTACTD_NEEDS_KAFKA();
  const std::uint64_t seed = crash_seed();
  std::mt19937_64 random{seed};
  KafkaBroker& broker = *shared_kafka_broker();
  const KafkaTopic topic = new_topic(broker);
  ServerProcess server{topic.settings};
  Fleet fleet{{&server}, seed, topic.config};
  const int rounds = kafka_rounds();
  for (int round = 1; round <= rounds && !testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    // Back at once, so that some of what is under way is answered by the broker that came back.
    fleet.load(some_answers(random), [&] {
      broker.kill();
      broker.restart();
    });
    fleet.settle();
    expect_ready_again(server);
    fleet.expect_promises_kept();
  }
  EXPECT_EQ(server.stop(), exited(0));
  fleet.expect_log_agrees(Ended::by_kill);
}

}  // namespace
}  // namespace contactd::test
