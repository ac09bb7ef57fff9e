// The server is killed with SIGKILL in the middle of a write load, at random moments, and started
// again on the same data: every acknowledged change is there, no change is there twice, and a
// replay of the log gives the live projections.
//
// CONTACTD_CRASH_ROUNDS says how many times (default 5), CONTACTD_CRASH_CLIENTS under how many
// clients (default 12). The full run:
//   CONTACTD_CRASH_ROUNDS=200 CONTACTD_CRASH_CLIENTS=32 build/release/crash_test
// CONTACTD_CRASH_ANSWERS is how many answers a kill comes after at most (default 3000).
// CONTACTD_CRASH_SEED repeats the choices of a run; it can't repeat its timing.

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>
#include <string>

#include "tests/system/fleet.hpp"

namespace contactd::test {
namespace {

constexpr int rounds_default = 5;
constexpr std::uint64_t answers_before_kill_min = 20;
constexpr std::uint64_t answers_before_kill_max = 3000;
// A start that is killed lives this long, ready or not; and of those that were told to stop
// first, so long after that: while they write to the disk what they hold in memory.
constexpr int life_max_ms = 60;
constexpr int stopping_max_ms = 20;
constexpr int another_start_percent = 50;

int rounds() {
  const char* const given = std::getenv("CONTACTD_CRASH_ROUNDS");
  return given != nullptr ? std::atoi(given) : rounds_default;
}

// A kill comes after so many answers at most.
std::uint64_t answers_max() {
  const char* const given = std::getenv("CONTACTD_CRASH_ANSWERS");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : answers_before_kill_max;
}

std::chrono::milliseconds moment(std::mt19937_64& random, int max_ms) {
  return std::chrono::milliseconds{std::uniform_int_distribution{0, max_ms}(random)};
}

// Starts a server on the data and kills it: while it starts, when it serves, or while it stops.
void start_and_kill(const ServerProcess& server, std::mt19937_64& random) {
  const TemporaryDirectory scratch;
  ChildProcess process{{{contactd_binary(), "serve", "--listen", "127.0.0.1:0", "--data-dir",
                         server.data_dir().string()},
                        {},
                        scratch.path() / "stderr.log",
                        {}}};
  const bool stopping = std::bernoulli_distribution{}(random);
  try {
    const auto life = stopping ? ServerProcess::start_wait_max : moment(random, life_max_ms);
    ASSERT_TRUE(process.read_line(life)) << read_whole_file(scratch.path() / "stderr.log");
    if (stopping) {
      process.send_signal(SIGTERM);
      EXPECT_EQ(process.wait(moment(random, stopping_max_ms)), exited(0));
      return;
    }
  } catch (const std::runtime_error&) {
    // It has not become ready or not stopped yet, which is what was wanted.
  }
  process.send_signal(SIGKILL);
  process.wait(ServerProcess::stop_wait_max);
}

TEST(Crash, LosesNothingAndAppliesNothingTwice) {
  const std::uint64_t seed = crash_seed();
  std::mt19937_64 random{seed};
  ServerProcess server;
  Fleet fleet{server, seed};
  const int count = rounds();
  for (int round = 1; round <= count && !testing::Test::HasFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const auto answers =
        std::uniform_int_distribution{answers_before_kill_min, answers_max()}(random);
    fleet.load(answers, [&] { server.kill(); });
    fleet.expect_log_agrees(Ended::by_kill);
    bool started = false;
    while (std::uniform_int_distribution{1, 100}(random) <= another_start_percent) {
      start_and_kill(server, random);
      started = true;
    }
    if (started) fleet.expect_log_agrees(Ended::by_kill);
    server.start();
    fleet.settle();
    fleet.expect_promises_kept();
  }
  std::cout << count << " kills, " << fleet.acknowledged() << " changes acknowledged\n";
  EXPECT_EQ(server.stop(), exited(0));
  fleet.expect_log_agrees(Ended::gracefully);

  std::filesystem::remove_all(server.data_dir() / "projections");
  server.start();
  fleet.settle();
  fleet.expect_promises_kept();
}

}  // namespace
}  // namespace contactd::test
