// The broker away and back, and three of them.

#include <gtest/gtest.h>

#include "domain/ids.hpp"
#include "tests/support/api_fixture.hpp"
#include "tests/support/eventually.hpp"
#include "tests/system/fleet.hpp"
#include "tests/system/kafka_topic.hpp"

namespace contactd::test {
namespace {

constexpr std::uint64_t answers_before_kill = 300;
constexpr std::chrono::milliseconds notice_wait_max{60'000};

TEST(KafkaBrokerAway, ReadsGoOnWritesAreRefusedAndAllIsBackByItself) {
  CONTACTD_NEEDS_KAFKA();
  KafkaBroker& broker = *shared_kafka_broker();
  const KafkaTopic topic = new_topic(broker);
  ServerProcess server{topic.settings};
  HttpClient http{server.port()};
  ApiUser user = given_user(server);
  const Contact ann = user.given_contact();
  EXPECT_EQ(readiness(server), 200U);

  broker.kill();
  // Bounded: the client of the tests gives up after RawConnection::answer_wait_max.
  const Answer refused = user.patch(ann.id, R"({"company": "A"})").then(503);
  EXPECT_TRUE(refused.response().header("Retry-After"));
  EXPECT_TRUE(eventually([&] { return readiness(server) == 503; }, notice_wait_max));
  user.patch(ann.id, R"({"company": "B"})").then(503).with_header("Retry-After");
  user.read(ann.id).then(200);
  user.list().then(200);

  broker.restart();
  expect_ready_again(server);
  user.patch(ann.id, R"({"company": "C"})").then(200);
  user.read(ann.id).then(200).with_field("company", "C");
  EXPECT_EQ(server.stop(), exited(0)) << server.log();
}

TEST(KafkaThreeBrokers, KillingTheLeaderCostsSecondsAndNoData) {
  CONTACTD_NEEDS_KAFKA();
  const std::uint64_t seed = crash_seed();
  KafkaBroker brokers{3};
  const KafkaTopic topic = new_topic(brokers);
  ServerProcess server{topic.settings};
  Fleet fleet{{&server}, seed, topic.config};
  const std::uint32_t partition = domain::partition_of(
      domain::OrganizationId::parse(fleet_organization).value(), kafka_partitions);
  const int rounds = kafka_rounds();
  for (int round = 1; round <= rounds && !testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const int leader = brokers.leader_of(topic.name, partition);
    // The other two are enough.
    fleet.load(answers_before_kill, [&] { brokers.kill(leader); });
    fleet.settle();
    expect_ready_again(server);
    fleet.expect_promises_kept();
    brokers.restart(leader);
  }
  EXPECT_EQ(server.stop(), exited(0));
  fleet.expect_log_agrees(Ended::by_kill);
}

}  // namespace
}  // namespace contactd::test
