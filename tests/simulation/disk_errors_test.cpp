// The Nth operation of the disk fails, and perhaps some after it, or finds the disk full:
// N = 1, 2, 3, ...
//
// CONTACTD_DISK_ERRORS says how many N up to 500 (the full run: 500, each one).

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <iostream>

#include "infra/embedded_event_log.hpp"
#include "tests/domain/samples.hpp"
#include "tests/simulation/machine.hpp"
#include "tests/support/temporary_directory.hpp"

namespace contactd::test {
namespace {

constexpr std::uint64_t errors_full = 500;  // the first 400 or so are those of a start
constexpr std::uint64_t errors_quick = 150;
constexpr std::uint64_t full_quick = 60;
constexpr std::uint64_t full_operations = 1'000'000'000;  // until there is room again
constexpr std::size_t commands = 40;
constexpr std::uint64_t more_max = 4;  // operations that fail after the first

struct ErrorTotals {
  std::uint64_t runs = 0;
  std::uint64_t met = 0;           // runs in which the operation came
  std::uint64_t failed_syncs = 0;  // runs in which a sync of the log failed
  std::uint64_t refused_starts = 0;
  std::uint64_t answered_after = 0;  // commands, after the first failed sync of the log
  std::uint64_t clean_restarts = 0;
  std::size_t lost = 0;
};

bool of_the_log(const std::string& path) { return path.find("sim-log") != std::string::npos; }

void add(ErrorTotals& total, const ErrorTotals& one) {
  total.runs += one.runs;
  total.met += one.met;
  total.failed_syncs += one.failed_syncs;
  total.refused_starts += one.refused_starts;
  total.answered_after += one.answered_after;
  total.clean_restarts += one.clean_restarts;
  total.lost += one.lost;
}

void run(std::uint64_t operation, std::uint64_t seed, ErrorTotals& totals) {
  SCOPED_TRACE("operation " + std::to_string(operation) + ", " + seed_note(seed));
  Machine machine{seed + operation};
  // While it starts, RocksDB passes over a failed sync of the notes about its options.
  std::atomic<bool> serving = false;
  std::atomic<bool> sync_failed = false;
  std::atomic<std::size_t> answered_before = 0;
  std::string what;
  machine.disk().on_failed_sync([&](const std::string& path) {
    if (!serving || !of_the_log(path) || sync_failed.exchange(true)) return;
    answered_before = machine.answered();
    what = path;
  });
  // The first operations are those of a start; the rest those of its commands.
  machine.disk().count_from_here();
  machine.disk().fail(operation, machine.random().below(more_max + 1),
                      rocksdb::IOStatus::IOError("a simulated error of the disk"));
  bool serves = machine.start();
  serving = serves;
  if (!serves) ++totals.refused_starts;
  for (int attempt = 0; serves && attempt < 2; ++attempt) {
    machine.send(commands);
    machine.flush();
    serves = machine.recovers();
  }
  machine.stop();
  ++totals.runs;
  if (machine.disk().operations() >= operation) ++totals.met;
  if (sync_failed) {
    ++totals.failed_syncs;
    totals.answered_after += machine.answered() - answered_before;
    EXPECT_EQ(machine.answered(), answered_before) << "after a failed sync of " << what;
  }
  // The machine is told to stop, the disk is repaired, and nothing is lost by that.
  machine.disk().fail(0, 0, {});
  machine.disk().on_failed_sync({});
  if (!machine.start_on_a_whole_disk()) {
    ADD_FAILURE() << "it doesn't start again: " << machine.trouble();
    return;
  }
  const NaiveModel model = machine.settle();
  EXPECT_THAT(model.wrong(), testing::IsEmpty());
  totals.lost += model.lost();
  if (model.wrong().empty()) ++totals.clean_restarts;
}

// The disk fills up at an operation and then has room again, twice; then the power goes. Returns
// what was wrong.
std::vector<std::string> fill_up(std::uint64_t number, std::uint64_t seed) {
  Machine machine{seed + number};
  if (!machine.start_on_a_whole_disk()) return {"it doesn't start: " + machine.trouble()};
  Random& random = machine.random();
  for (int times = 0; times < 2; ++times) {
    machine.disk().count_from_here();
    machine.disk().fail(number + 1, full_operations, rocksdb::IOStatus::NoSpace());
    machine.send(commands);
    machine.flush();
    machine.disk().fail(0, 0, {});
    if (!machine.recovers_from_full_disk()) {
      return {"it doesn't take changes again: " + machine.trouble()};
    }
    if (!machine.send(commands)) return {"it took no change: " + machine.trouble()};
  }
  machine.disk().cut_power(machine.disk().operations() + 1 + random.below(commands));
  machine.send(commands);
  machine.stop();
  machine.disk().restore_power(random);
  if (!machine.start_on_a_whole_disk()) return {"it doesn't start again: " + machine.trouble()};
  return machine.settle().wrong();
}

TEST(DiskErrors, AfterAFullDiskItGoesOnByItself) {
  const std::uint64_t seed = test_seed();
  const std::uint64_t count = count_from_environment("CONTACTD_DISK_ERRORS", full_quick);
  std::cout << seed_note(seed) << '\n';
  run_some_at_a_time(count, [&](std::uint64_t number) {
    EXPECT_THAT(fill_up(number, seed), testing::IsEmpty())
        << "operation " << number + 1 << ", " << seed_note(seed);
  });
}

// A writer that is told of a batch that failed doesn't wait for it to show.
TEST(DiskErrors, TheLogNeverSaysThatARefusedBatchIsInIt) {
  using infra::AppendResult;
  std::uint64_t refused = 0;
  for (std::uint64_t operation = 1; refused + 1 == operation; ++operation) {
    SCOPED_TRACE("operation " + std::to_string(operation));
    const TemporaryDirectory directory;
    SimulatedDisk disk;
    const auto log = infra::open_embedded_event_log(directory.path(), disk.env());
    const infra::Claim claim = log->claim(0, claim_proposal());
    const std::vector batch(3, claim_proposal());
    disk.count_from_here();
    disk.fail(operation, 0, rocksdb::IOStatus::IOError("a simulated error of the disk"));
    const AppendResult result = log->append(claim, batch);
    if (disk.operations() < operation) {
      EXPECT_EQ(result, AppendResult::committed);
      EXPECT_EQ(log->end_offset(0), 4U);
      continue;
    }
    ++refused;
    EXPECT_EQ(result, AppendResult::unknown);
    EXPECT_EQ(log->append(claim, batch), AppendResult::fenced);
    EXPECT_EQ(log->end_offset(0), 1U);
  }
  EXPECT_GE(refused, 2U) << "a write and its sync, at the least";
}

TEST(DiskErrors, AfterAFailedSyncNothingIsAnswered) {
  const std::uint64_t seed = test_seed();
  const std::uint64_t count = count_from_environment("CONTACTD_DISK_ERRORS", errors_quick);
  std::cout << seed_note(seed) << '\n';
  std::mutex mutex;
  ErrorTotals totals;
  run_some_at_a_time(count, [&](std::uint64_t number) {
    ErrorTotals one;
    run(1 + number * std::max(errors_full, count) / count, seed, one);
    const std::lock_guard lock{mutex};
    add(totals, one);
  });
  std::cout << totals.runs << " runs, the operation came in " << totals.met << ", a sync of the log"
            << " failed in " << totals.failed_syncs << ", " << totals.refused_starts
            << " starts refused; answered after the first failed sync " << totals.answered_after
            << ", lost " << totals.lost << ", clean restarts " << totals.clean_restarts << '\n';
  EXPECT_EQ(totals.answered_after, 0U);
  EXPECT_EQ(totals.lost, 0U);
  EXPECT_EQ(totals.clean_restarts, totals.runs);
  EXPECT_GT(totals.failed_syncs, 0U);
}

}  // namespace
}  // namespace contactd::test
