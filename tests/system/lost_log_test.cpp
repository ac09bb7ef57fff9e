// A log that lacks what was folded from it: an old backup, or another server's directory.

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "infra/embedded_event_log.hpp"
#include "infra/writer.hpp"
#include "tests/support/temporary_directory.hpp"

namespace contactd::test {
namespace {

using State = infra::Writer::Status::State;

constexpr std::chrono::seconds state_wait_max{30};

// Runs a writer until it serves or has given up.
infra::Writer::Status status_after_start(const std::filesystem::path& log_directory,
                                         const std::filesystem::path& store_directory) {
  const auto log = infra::open_embedded_event_log(log_directory);
  const auto store = infra::open_read_store(store_directory);
  infra::Metrics metrics;
  infra::Writer writer{0, {}, *log, *store, metrics, infra::system_time};
  writer.start();
  writer.take();
  const auto deadline = std::chrono::steady_clock::now() + state_wait_max;
  infra::Writer::Status status = writer.status();
  while (status.state != State::serving && status.state != State::stopped &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
    status = writer.status();
  }
  return status;
}

TEST(LostLog, StopsThePartitionUntilTheProjectionsAreMadeAnew) {
  const TemporaryDirectory directory;
  const auto store = directory.path() / "projections";
  // Each start appends the record of its claim.
  for (int start = 0; start < 3; ++start) {
    EXPECT_EQ(status_after_start(directory.path() / "log", store).state, State::serving);
  }
  const auto other_log = directory.path() / "other-log";
  // However often it is tried: an attempt must not make the log longer.
  for (int start = 0; start < 5; ++start) {
    const auto status = status_after_start(other_log, store);
    EXPECT_EQ(status.state, State::stopped);
    EXPECT_NE(status.detail.find("remove the projections"), std::string::npos) << status.detail;
  }

  std::filesystem::remove_all(store);
  EXPECT_EQ(status_after_start(other_log, store).state, State::serving);
}

}  // namespace
}  // namespace contactd::test
