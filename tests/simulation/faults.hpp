#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace contactd::test {

// What goes wrong in a simulation. Each is counted; a run in which one never happened has not shown
// what it was for.
enum class Fault : std::uint8_t {
  crash,                // the process ends between two steps
  crash_within_append,  // and the batch under way is kept, or not
  torn_write,           // the batch under way was written in part, which recovery drops whole
  unsynced_lost,        // what was folded since the last flush is gone
  disk_error,           // EIO: an append, a claim or a read fails
  disk_full,            // appends and claims fail until there is room
  store_full,           // the projections can't be written
  batch_lost,           // of unknown fate; it never comes
  batch_kept,           // of unknown fate; it is there
  batch_late,           // of unknown fate; it comes later, perhaps after another claim
  reordered,            // two late batches come the other way round
  repeated,             // a batch is delivered twice
  slow_append,
  slow_read_back,
  slow_look_up,
  rival_claim,         // another writer takes the partition
  stale_writer,        // a writer that was fenced gets an event into the log
  commit_after_rival,  // the log says committed, and the claim isn't ours any more
  foreign_record,
  clock_forth,
  clock_back,
  given_up,  // the partition is taken away for a while
};
inline constexpr std::size_t fault_kinds = 22;

inline constexpr std::array<const char*, fault_kinds> fault_names = {
    "crash",          "crash within an append",
    "torn write",     "unsynced lost",
    "disk error",     "disk full",
    "store full",     "batch lost",
    "batch kept",     "batch late",
    "reordered",      "repeated",
    "slow append",    "slow read back",
    "slow look-up",   "rival claim",
    "stale writer",   "after a rival",
    "foreign record", "clock forth",
    "clock back",     "given up"};

struct FaultCounts {
  std::array<std::uint64_t, fault_kinds> of{};

  void count(Fault fault) { ++of[static_cast<std::size_t>(fault)]; }
  void add(const FaultCounts& other) {
    for (std::size_t i = 0; i < fault_kinds; ++i) of[i] += other.of[i];
  }
};

}  // namespace contactd::test
