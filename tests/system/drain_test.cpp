// SIGTERM and SIGINT in the middle of a write load: what was answered is durable, what wasn't was
// not applied, and the process ends by itself.

#include <gtest/gtest.h>
#include <signal.h>

#include "tests/system/fleet.hpp"

namespace contactd::test {
namespace {

constexpr std::uint64_t answers_before_signal = 1000;

class Drain : public testing::TestWithParam<int> {};

TEST_P(Drain, AnswersWhatItTookAndTakesNothingElse) {
  ServerProcess server;
  Fleet fleet{server, crash_seed()};
  fleet.load(answers_before_signal, [&] {
    server.send_signal(GetParam());
    EXPECT_EQ(server.wait(), exited(0));
  });
  for (const Client& client : fleet.clients()) {
    const auto& unanswered = client.unanswered();
    if (!unanswered) continue;
    EXPECT_TRUE(unanswered->end != Client::End::broken) << unanswered->change.request_id;
  }
  fleet.expect_no_complaints();
  fleet.expect_log_agrees(Ended::gracefully);

  server.start();
  // Without settle(): an unanswered change must not be there.
  fleet.expect_promises_kept();
}

INSTANTIATE_TEST_SUITE_P(Signals, Drain, testing::Values(SIGTERM, SIGINT), [](const auto& tested) {
  return tested.param == SIGTERM ? "SIGTERM" : "SIGINT";
});

}  // namespace
}  // namespace contactd::test
