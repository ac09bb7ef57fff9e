// The power goes in the middle of an operation of the disk, any of them; what was not synced is
// lost, or torn, or kept. Nothing that was answered may be missing afterwards.
//
// CONTACTD_POWER_SEEDS says how many seeds (the full run: 1000); CONTACTD_TEST_SEED the first one.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <iostream>

#include "tests/simulation/machine.hpp"

namespace contactd::test {
namespace {

constexpr std::uint64_t seeds_quick = 60;
constexpr std::uint64_t seeds_without_sync = 12;  // it loses something in most of them
constexpr std::size_t lives_max = 3;              // of one disk
constexpr std::size_t commands_max = 60;
constexpr std::uint64_t operations_max = 160;  // within which the power goes

struct CutTotals {
  std::uint64_t cuts = 0;
  std::uint64_t cuts_of_starts = 0;
  std::size_t answered = 0;
  std::size_t lost = 0;
  std::size_t unsound = 0;  // disks on which something was wrong
  SimulatedDisk::Losses writes;
};

void add(SimulatedDisk::Losses& total, const SimulatedDisk::Losses& one) {
  total.kept += one.kept;
  total.torn += one.torn;
  total.lost += one.lost;
  total.names_lost += one.names_lost;
}

void add(CutTotals& total, const CutTotals& one) {
  total.cuts += one.cuts;
  total.cuts_of_starts += one.cuts_of_starts;
  total.answered += one.answered;
  total.lost += one.lost;
  total.unsound += one.unsound;
  add(total.writes, one.writes);
}

// Lives that a power cut ends, and one to look. Returns what was wrong.
std::vector<std::string> run(std::uint64_t seed, bool with_sync, CutTotals& totals) {
  Machine machine{seed};
  Random& random = machine.random();
  for (std::size_t life = 1 + random.below(lives_max); life > 0; --life) {
    machine.disk().count_from_here();
    // A new disk is set up whole; later, the power may go while it recovers.
    const bool cut_the_start = machine.answered() > 0 && random.one_in(3);
    if (!cut_the_start && !machine.start_on_a_whole_disk())
      return {"it doesn't start: " + machine.trouble()};
    machine.disk().count_from_here();
    machine.disk().lie_about_syncs(!with_sync);
    machine.disk().cut_power(1 + random.below(operations_max));
    if (cut_the_start && !machine.start()) ++totals.cuts_of_starts;
    while (machine.serves() && machine.send(1 + random.below(commands_max))) {
      if (random.one_in(3)) machine.flush();
    }
    machine.stop();
    add(totals.writes, machine.disk().restore_power(random));
    machine.disk().lie_about_syncs(false);
    ++totals.cuts;
    if (with_sync) {
      if (const auto why = machine.log_refused_elsewhere()) return {*why};
    }
  }
  totals.answered += machine.answered();
  if (!machine.start_on_a_whole_disk()) return {"it doesn't start again: " + machine.trouble()};
  const NaiveModel model = machine.settle();
  totals.lost += model.lost();
  return model.wrong();
}

CutTotals run_all(std::uint64_t count, bool with_sync) {
  const std::uint64_t first = test_seed();
  std::cout << seed_note(first) << '\n';
  std::mutex mutex;
  CutTotals totals;
  run_some_at_a_time(count, [&](std::uint64_t number) {
    CutTotals one;
    const auto wrong = run(first + number, with_sync, one);
    if (!wrong.empty()) ++one.unsound;
    if (with_sync && !wrong.empty()) {
      ADD_FAILURE() << "CONTACTD_TEST_SEED=" << first + number
                    << " CONTACTD_POWER_SEEDS=1: " << testing::PrintToString(wrong);
    }
    const std::lock_guard lock{mutex};
    add(totals, one);
  });
  std::cout << count << " seeds, " << totals.cuts << " power cuts, " << totals.cuts_of_starts
            << " of them while it started; unsynced writes kept " << totals.writes.kept << ", torn "
            << totals.writes.torn << ", lost " << totals.writes.lost << ", names lost "
            << totals.writes.names_lost << "; " << totals.answered << " answered, " << totals.lost
            << " lost, " << totals.unsound << " seeds unsound\n";
  return totals;
}

TEST(PowerLoss, LosesNothingThatWasAnswered) {
  const CutTotals totals =
      run_all(count_from_environment("CONTACTD_POWER_SEEDS", seeds_quick), /*with_sync=*/true);
  EXPECT_EQ(totals.lost, 0U);
  EXPECT_GT(totals.answered, 0U);
  EXPECT_GT(totals.cuts_of_starts, 0U);
  EXPECT_GT(totals.writes.torn, 0U);
  EXPECT_GT(totals.writes.lost, 0U);
  EXPECT_GT(totals.writes.names_lost, 0U);
}

// That the test above can fail.
TEST(PowerLoss, LosesWhatWasAnsweredWhereSyncsDoNothing) {
  const CutTotals totals = run_all(seeds_without_sync, /*with_sync=*/false);
  EXPECT_GT(totals.lost, 0U);
}

}  // namespace
}  // namespace contactd::test
