// Many clients follow an organization's events, some slow, all coming and going, while the server
// is killed and restarted under writes. CONTACTD_FEED_CLIENTS and CONTACTD_FEED_ROUNDS say how many
// and how often. The full run:
//   CONTACTD_FEED_CLIENTS=1000 CONTACTD_FEED_ROUNDS=10 build/release/feed_system_test
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/json.hpp>
#include <iostream>
#include <map>
#include <thread>

#include "tests/support/api_fixture.hpp"
#include "tests/system/feed_crowd.hpp"

namespace contactd::test {
namespace {

namespace json = boost::json;

constexpr std::size_t clients_default = 100;
constexpr std::size_t rounds_default = 3;
constexpr int contacts = 20;
constexpr std::uint64_t writes_a_round = 400;
constexpr std::chrono::milliseconds catch_up_wait_max{180'000};
constexpr std::size_t growth_bytes_max = 64U << 20U;
// The sanitizers keep for a while what was freed.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool memory_tells = false;
#else
constexpr bool memory_tells = true;
#endif

std::size_t number_from(const char* variable, std::size_t otherwise) {
  const char* const given = std::getenv(variable);
  return given == nullptr ? otherwise : std::stoull(given);
}

// A socket for each client at either end.
void allow_many_sockets() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// Changes contacts, whatever becomes of the server meanwhile.
class Writing {
 public:
  Writing(std::string key, std::vector<std::string> ids)
      : key_(std::move(key)), ids_(std::move(ids)), thread_([this] { run(); }) {}
  ~Writing() { stop(); }

  void connect_to(std::uint16_t port) { port_ = port; }
  std::uint64_t done() const { return done_; }
  void stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }

 private:
  void run() {
    const Headers headers = {{"X-API-KEY", key_}, {"Content-Type", "application/json"}};
    for (std::uint64_t i = 0; !stopping_; ++i) {
      try {
        HttpClient client{port_};
        for (; !stopping_; ++i) {
          const std::string body = R"({"company": ")" + std::to_string(i) + "\"}";
          if (client.request("PATCH", contact_path(ids_[i % ids_.size()]), headers, body).status ==
              200) {
            ++done_;
          }
        }
      } catch (const std::exception& server_is_away) {
        std::this_thread::yield();
      }
    }
  }

  const std::string key_;
  const std::vector<std::string> ids_;
  std::atomic<std::uint16_t> port_{0};
  std::atomic<std::uint64_t> done_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// The ids of all events, as pages have them.
std::vector<std::string> all_events(ApiUser& user) {
  std::vector<std::string> ids;
  std::string cursor;
  for (;;) {
    const json::value page =
        user.send("GET", "/api/v1/events?limit=200&after=" + cursor).then(200).json();
    for (const json::value& event : page.at("data").as_array()) {
      ids.push_back(json::value_to<std::string>(event.at("id")));
    }
    cursor = json::value_to<std::string>(page.at("next_cursor"));
    if (page.at("has_more") == false) return ids;
  }
}

struct Verdict {
  std::size_t gaps = 0;
  std::size_t repeats = 0;
};
// How often a client that saw `seen` of `all` missed some, or saw what it had seen before.
Verdict judge(const FeedCrowd::Seen& seen, const std::map<std::size_t, std::size_t>& places) {
  Verdict verdict;
  std::size_t expected = 0;
  for (const std::size_t event : seen) {
    const std::size_t place = places.at(event);
    if (place > expected) ++verdict.gaps;
    if (place < expected) ++verdict.repeats;
    expected = place + 1;
  }
  return verdict;
}

TEST(Feed, ReachesEveryClientWithoutGapOrRepeatWhateverHappensToTheServer) {
  allow_many_sockets();
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  const std::size_t client_count = number_from("CONTACTD_FEED_CLIENTS", clients_default);
  const std::size_t rounds = number_from("CONTACTD_FEED_ROUNDS", rounds_default);
  ServerProcess server{{{"--feed-stall-ms", "1000", "--feed-heartbeat-ms", "1000"}, {}}};
  ApiUser user = given_user(server);
  std::vector<std::string> ids(contacts);
  for (std::string& id : ids) id = user.given_contact().id;

  FeedCrowd crowd{client_count, user.key(), seed};
  Writing writing{user.key(), ids};
  std::size_t growth_max = 0;
  for (std::size_t round = 0; round <= rounds; ++round) {
    if (round > 0) {
      server.kill();
      server.start();
    }
    const std::size_t before = server.resident_bytes();
    crowd.connect_to(server.port());
    writing.connect_to(server.port());
    const std::uint64_t enough = writing.done() + writes_a_round;
    std::size_t most = 0;
    crowd.run([&] {
      most = std::max(most, crowd.connected());
      return writing.done() >= enough && most >= client_count * 9 / 10;
    });
    const std::size_t now = server.resident_bytes();
    growth_max = std::max(growth_max, now - std::min(now, before));
    if (round == rounds) break;
    crowd.connect_to(0);
  }
  writing.stop();
  user.move_to(server.port());
  const std::vector<std::string> all = all_events(user);
  EXPECT_TRUE(crowd.run_to_the_end(all.size(), catch_up_wait_max)) << "not all have seen the end";
  const std::size_t at_the_end = server.resident_bytes();

  std::map<std::size_t, std::size_t> places;  // by hash
  for (const std::string& id : all) places.emplace(FeedCrowd::hash_of(id), places.size());
  ASSERT_EQ(places.size(), all.size());
  Verdict sum;
  for (const auto& seen : crowd.seen()) {
    const Verdict one = judge(seen, places);
    sum.gaps += one.gaps;
    sum.repeats += one.repeats;
    EXPECT_EQ(seen.size(), all.size());
  }
  EXPECT_EQ(sum.gaps, 0U);
  EXPECT_EQ(sum.repeats, 0U);
  if (memory_tells) {
    EXPECT_LT(growth_max, growth_bytes_max);
  }
  EXPECT_EQ(crowd.complaints(), std::vector<std::string>{});
  std::cout << client_count << " clients, " << all.size() << " events, " << rounds << " kills, "
            << crowd.reconnects() << " connections, " << crowd.stalls() << " stalls: gaps "
            << sum.gaps << ", repeats " << sum.repeats << ", memory grew by " << growth_max / 1024
            << " KiB at most, to " << at_the_end / 1024 << " KiB\n";
}

}  // namespace
}  // namespace contactd::test
