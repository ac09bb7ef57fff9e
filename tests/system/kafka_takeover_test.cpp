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

// A key of an organization whose partition the server writes; an organization's name decides which.
std::string key_of(const ServerProcess& server) {
  for (int number = 0;; ++number) {
    const Response made = HttpClient{server.port()}.request(
        "POST", "/admin/v1/keys", {{"X-API-KEY", server.admin_key()}},
        R"({"organization":"org)" + std::to_string(number) +
            R"(","name":"n","scopes":{"contacts":"write"}})");
    if (made.status == 201) {
      return made.json().at("data").at("key").as_string().c_str();
    }
    if (number == 100) throw std::runtime_error{"it serves no organization: " + made.body};
  }
}

// What a server has in memory from before it was stopped is old as soon as another one has answered
// a change. Asked from the first moment after it was woken, it must not give that out.
TEST(KafkaTakeover, AServerThatIsWokenReadsOutNothingThatIsOld) {
  CONTACTD_NEEDS_KAFKA();
  const KafkaTopic topic = new_topic(*shared_kafka_broker());
  ServerProcess first{topic.settings};
  ServerProcess second{topic.settings};
  expect_settled({&first, &second});
  const std::string key = key_of(first);
  const Headers headers{{"X-API-KEY", key}};
  const Response made =
      HttpClient{first.port()}.request("POST", "/api/v1/contacts", headers, R"({"company":"old"})");
  ASSERT_EQ(made.status, 201U) << made.body;
  const std::string path =
      "/api/v1/contacts/" + std::string{made.json().at("data").at("id").as_string()};
  ASSERT_EQ(HttpClient{first.port()}.request("GET", path, headers).status, 200U);

  first.send_signal(SIGSTOP);
  const auto changed = [&] {
    const Headers conditional{{"X-API-KEY", key}, {"If-Match", "*"}};
    return HttpClient{second.port()}
               .request("PATCH", path, conditional, R"({"company":"new"})")
               .status == 200;
  };
  ASSERT_TRUE(eventually(changed, takeover_wait_max)) << second.log();
  first.send_signal(SIGCONT);
  std::size_t refused = 0;
  const auto settled = [&] {
    const Response read = HttpClient{first.port()}.request("GET", path, headers);
    if (read.status == 200) {
      EXPECT_EQ(read.json().at("data").at("company").as_string(), "new");
    } else {
      EXPECT_EQ(read.status, 503U) << read.body;
      ++refused;
    }
    return testing::Test::HasFailure() ||
           (partitions_served(first) == 1 && partitions_served(second) == 1);
  };
  EXPECT_TRUE(eventually(settled, takeover_wait_max)) << first.log();
  EXPECT_GT(refused, 0U);
  EXPECT_EQ(first.stop(), exited(0));
  EXPECT_EQ(second.stop(), exited(0));
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
