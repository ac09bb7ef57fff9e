// The real server on a file system of 64 MB that is filled up under load and freed again: reads go
// on, what was acknowledged is kept, and changes are taken again without a restart.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "tests/support/eventually.hpp"
#include "tests/system/fleet.hpp"

namespace contactd::test {
namespace {

// The log reserves 4 MB for what it writes next: a disk that is full still takes the changes that
// they hold, whose rows must fit once there is room again.
constexpr const char* file_system_size = "size=64m";
constexpr std::uint64_t answers_before = 500;
constexpr std::uint64_t answers_after = 300;
constexpr std::size_t filler_block_bytes = 64U << 10U;
constexpr std::chrono::seconds full_wait_max{120};
constexpr std::chrono::seconds recovery_max{10};

// A file system in memory over a directory, for as long as this lives.
class SmallDisk {
 public:
  explicit SmallDisk(const std::filesystem::path& directory) : directory_(directory.string()) {
    if (mount("contactd-test", directory_.c_str(), "tmpfs", 0, file_system_size) == 0) return;
    refusal_ = std::strerror(errno);
  }
  ~SmallDisk() {
    if (mounted()) umount2(directory_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return refusal_.empty(); }
  const std::string& refusal() const { return refusal_; }

  // Writes until there is no room for another byte.
  void fill() {
    const int file = open(filler().c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ASSERT_GE(file, 0);
    const std::string block(filler_block_bytes, 'x');
    for (std::size_t size = block.size(); size > 0;) {
      if (write(file, block.data(), size) < 0) size /= 2;
    }
    close(file);
  }
  void free() { std::filesystem::remove(filler()); }

 private:
  std::string filler() const { return directory_ + "/filler"; }

  const std::string directory_;
  std::string refusal_;
};

// Whether a change is taken now; and if not, that the server says so.
bool takes_changes(HttpClient& http, const std::string& api_key) {
  const Response response =
      http.request("PATCH", path_of_nobody,
                   {{"X-API-KEY", api_key}, {"Idempotency-Key", recorded_refusal_key()}}, "{}");
  if (response.status == 404) return true;
  EXPECT_EQ(response.status, 503U) << response.body;
  EXPECT_TRUE(response.header("Retry-After"));
  return false;
}

// All contacts that clients were told of, one by one.
void expect_reads(const Fleet& fleet, std::uint16_t port) {
  HttpClient http{port};
  std::size_t read = 0;
  std::size_t failed = 0;
  for (const Client& client : fleet.clients()) {
    for (const auto& [id, held] : client.ledger().held()) {
      const Response response =
          http.request("GET", "/api/v1/contacts/" + id, {{"X-API-KEY", fleet.api_key()}});
      ++read;
      if (response.status != 200) ++failed;
    }
  }
  std::cout << "disk full: " << read << " reads, " << failed << " failed\n";
  EXPECT_GT(read, 0U);
  EXPECT_EQ(failed, 0U);
}

TEST(DiskFull, KeepsWhatWasAcknowledgedReadsOnAndRecovers) {
  const std::uint64_t seed = crash_seed();
  ServerProcess server;
  ASSERT_EQ(server.stop(), exited(0));
  for (const auto& entry : std::filesystem::directory_iterator{server.data_dir()}) {
    std::filesystem::remove_all(entry.path());
  }
  SmallDisk disk{server.data_dir()};
  if (!disk.mounted())
    GTEST_SKIP() << "NOT RUN: a file system can't be mounted: " << disk.refusal();
  server.start();
  Fleet fleet{server, seed};
  HttpClient probe{server.port()};
  fleet.load(answers_before, [&] {
    disk.fill();
    EXPECT_TRUE(eventually([&] { return !takes_changes(probe, fleet.api_key()); }, full_wait_max))
        << "the disk is full, and changes are taken all the same";
  });
  expect_reads(fleet, server.port());

  const auto freed = std::chrono::steady_clock::now();
  disk.free();
  EXPECT_TRUE(eventually([&] { return takes_changes(probe, fleet.api_key()); }, recovery_max))
      << "no changes are taken although there is room again\n"
      << server.log();
  const auto passed = std::chrono::steady_clock::now() - freed;
  std::cout << "changes were taken again "
            << std::chrono::duration_cast<std::chrono::milliseconds>(passed).count()
            << " ms after there was room\n";
  fleet.settle();
  fleet.expect_promises_kept();
  fleet.load(answers_after, [] {});
  fleet.settle();
  fleet.expect_promises_kept();
  EXPECT_EQ(server.stop(), exited(0));
  fleet.expect_log_agrees(Ended::gracefully);
}

}  // namespace
}  // namespace contactd::test
