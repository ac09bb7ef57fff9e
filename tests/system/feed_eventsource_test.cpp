// The client of Server-Sent Events that others wrote, npm's eventsource, on a server that isn't
// ready yet, is killed, and restarted.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>
#include <future>
#include <sstream>

#include "tests/support/api_fixture.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/node_program.hpp"
#include "tests/support/starting_server.hpp"

namespace contactd::test {
namespace {

namespace json = boost::json;

constexpr int kills = 3;
constexpr int events_a_round = 30;
constexpr int events = (kills + 1) * events_a_round;

bool follows(ApiUser& user) {
  const std::string metrics = user.send("GET", "/metrics").body();
  return metrics.find("\ncontactd_feed_followers 1\n") != std::string::npos;
}

bool was_asked(const StartingServer& server) {
  const std::string metrics = server.get("/metrics").body;
  return metrics.find("contactd_http_requests_total{method=\"GET\",route=\"events\"") !=
         std::string::npos;
}

TEST(EventSource, ResumesWithoutGapOrRepeat) {
  const NodeProgram program{"eventsource"};
  if (program.why_unavailable()) {
    if (std::getenv("CI") != nullptr) FAIL() << *program.why_unavailable();
    GTEST_SKIP() << *program.why_unavailable();
  }
  ServerProcess server;
  ApiUser user = given_user(server);
  const std::filesystem::path port_file = server.data_dir().parent_path() / "port";
  const auto tell_port = [&](std::uint16_t port) { std::ofstream{port_file} << port << '\n'; };
  StartingServer not_ready{flags_of_no_broker()};
  tell_port(not_ready.port());
  auto followed = std::async(std::launch::async, [&] {
    return program.run("follow.mjs", {port_file.string(), user.key(), std::to_string(events)});
  });
  ASSERT_TRUE(eventually([&] { return was_asked(not_ready); }, program_wait_max));
  for (int round = 0; round <= kills; ++round) {
    if (round > 0) {
      server.kill();
      server.start();
      user.move_to(server.port());
    }
    tell_port(server.port());
    ASSERT_TRUE(eventually([&] { return follows(user); }, program_wait_max));
    for (int i = 0; i < events_a_round; ++i) user.given_contact();
  }
  const Finished finished = followed.get();
  EXPECT_EQ(finished.status, exited(0)) << finished.err;
  std::string expected;
  const json::value page = user.send("GET", "/api/v1/events?limit=200").then(200).json();
  for (const json::value& event : page.at("data").as_array()) {
    expected += json::value_to<std::string>(event.at("id")) + '\n';
  }
  EXPECT_EQ(finished.out, expected);
  EXPECT_NE(finished.err.find("connects after"), std::string::npos)
      << "it never had to resume, so this shows nothing";
}

}  // namespace
}  // namespace contactd::test
