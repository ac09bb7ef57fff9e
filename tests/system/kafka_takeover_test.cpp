// Two servers on one log: only one of them decides, whatever the other one believes.

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <random>
#include <stdexcept>

#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/system/fleet.hpp"
#include "tests/system/kafka_topic.hpp"

namespace contactd::test {
namespace {

constexpr std::uint64_t answers_before_stop_min = 20;
constexpr std::uint64_t answers_before_stop_max = 800;
constexpr std::uint64_t answers_after_takeover = 300;
constexpr std::chrono::milliseconds takeover_wait_max{60'000};

// Whether the server writes the organization's log.
bool takes_changes(const ServerProcess& server, const std::string& api_key) {
  const Headers headers{{"X-API-KEY", api_key}, {"Idempotency-Key", recorded_refusal_key()}};
  return HttpClient{server.port()}.request("PATCH", path_of_nobody, headers, "{}").status == 404;
}

// Each of the two has one of the two partitions: the group has done with deciding.
void expect_settled(const std::array<ServerProcess*, 2>& servers) {
  const auto settled = [&] {
    return std::ranges::all_of(
        servers, [](const ServerProcess* server) { return partitions_served(*server) == 1; });
  };
  EXPECT_TRUE(eventually(settled, takeover_wait_max))
      << partitions_served(*servers[0]) << " and " << partitions_served(*servers[1]);
}

// The one of the servers that takes the organization's changes, which may be neither for a while.
std::size_t owner_of(const std::array<ServerProcess*, 2>& servers, const std::string& api_key) {
  std::size_t owner = 0;
  const bool found = eventually(
      [&] {
        owner = 1 - owner;
        return takes_changes(*servers.at(owner), api_key);
      },
      takeover_wait_max);
  if (!found) throw std::runtime_error{"neither of the servers takes changes"};
  return owner;
}

void expect_takes_changes(const ServerProcess& server, const std::string& api_key) {
  EXPECT_TRUE(eventually([&] { return takes_changes(server, api_key); }, takeover_wait_max))
      << server.log();
}

TEST(KafkaTakeover, FromAServerThatIsStoppedAndWokenLosesNothing) {
  CONTACTD_NEEDS_KAFKA();
  const std::uint64_t seed = crash_seed();
  std::mt19937_64 random{seed};
  const KafkaTopic topic = new_topic(*shared_kafka_broker());
  ServerProcess first{topic.settings};
  ServerProcess second{topic.settings};
  const std::array<ServerProcess*, 2> servers{&first, &second};
  Fleet fleet{{&first, &second}, seed, topic.config};
  const int rounds = kafka_rounds();
  for (int round = 1; round <= rounds && !testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    expect_settled(servers);
    const std::size_t owner = owner_of(servers, fleet.api_key());
    const std::size_t other = 1 - owner;
    const auto answers =
        std::uniform_int_distribution{answers_before_stop_min, answers_before_stop_max}(random);
    fleet.load(owner, answers, [&] {
      servers.at(owner)->send_signal(SIGSTOP);
      expect_takes_changes(*servers.at(other), fleet.api_key());
      fleet.load(other, answers_after_takeover, [&] { servers.at(owner)->send_signal(SIGCONT); });
    });
    fleet.settle();
    fleet.expect_promises_kept();
  }
  EXPECT_EQ(first.stop(), exited(0));
  EXPECT_EQ(second.stop(), exited(0));
  fleet.expect_log_agrees(Ended::by_kill);
}

TEST(KafkaTakeover, FromAServerThatIsKilledLosesNothing) {
  CONTACTD_NEEDS_KAFKA();
  const std::uint64_t seed = crash_seed();
  const KafkaTopic topic = new_topic(*shared_kafka_broker());
  ServerProcess first{topic.settings};
  ServerProcess second{topic.settings};
  const std::array<ServerProcess*, 2> servers{&first, &second};
  Fleet fleet{{&first, &second}, seed, topic.config};
  expect_settled(servers);
  const std::size_t owner = owner_of(servers, fleet.api_key());
  fleet.load(owner, answers_after_takeover, [&] { servers.at(owner)->kill(); });
  expect_takes_changes(*servers.at(1 - owner), fleet.api_key());
  fleet.load(1 - owner, answers_after_takeover, [] {});
  servers.at(owner)->start();
  fleet.settle();
  fleet.expect_promises_kept();
  EXPECT_EQ(first.stop(), exited(0));
  EXPECT_EQ(second.stop(), exited(0));
  fleet.expect_log_agrees(Ended::by_kill);
}

}  // namespace
}  // namespace contactd::test
