#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "domain/events.hpp"

namespace contactd::infra {

// The right to append to a partition. Its epoch is the offset of its WriterClaimed record; a later
// claim fences every earlier one.
struct Claim {
  std::uint32_t partition = 0;
  std::uint64_t epoch = 0;
};

enum class AppendResult {
  committed,  // all of the batch is durable and will be read by every reader
  fenced,     // none of it is; the claim is no longer ours: claim again
  refused,    // none of it is, for another reason: claim again
  unknown,    // it may be, now or later: claim again, fold up to the claim, and look
};

// A record that is no event that this release can read.
struct UnreadableRecord {
  std::string reason;  // without contact data
};
// A record that isn't one of contactd's at all.
struct ForeignRecord {
  std::string reason;
};

struct LogEntry {
  std::uint64_t offset = 0;
  std::variant<domain::RecordedEvent, UnreadableRecord, ForeignRecord> record;
  std::string canonical;  // an event's canonical bytes, of what the log has
};

struct LogSlice {
  std::vector<LogEntry> entries;  // committed, by offset; offsets may have gaps
  std::uint64_t next_offset = 0;  // where to read on
};
// How many records those ask for at once who read a log to fold it. A slice is folded as one write:
// so many that what a write costs is shared, so few that what is decoded is still in the
// processor's cache when it is folded.
inline constexpr std::size_t slice_records_max = 1024;
// And of how many bytes they are, in the embedded log: with large ones, a slice has fewer records
// than it may. (On Kafka the client's queue is bounded.)
inline constexpr std::size_t slice_bytes_max = 8U << 20U;

// A log that is only read.
//
// Threads: one at a time reads or waits for a partition, not always the same one (ReadAhead); the
// rest from any.
// Errors: a world that broke is LogUnavailable; a log that is known to lack records, or to have
// damaged ones, projections::BrokenLog.
class LogReader {
 public:
  virtual ~LogReader() = default;

  virtual std::uint32_t partition_count() const = 0;

  // The committed records from offset `from` on, at most `count_max` of them, fewer where they are
  // large; none if there are none yet.
  virtual LogSlice read(std::uint32_t partition, std::uint64_t from, std::size_t count_max) = 0;

  // Waits until a record at or after `from` is committed, or for `patience`. Returns whether one
  // is. A wake-up may be spurious.
  virtual bool wait(std::uint32_t partition, std::uint64_t from,
                    std::chrono::milliseconds patience) = 0;

  // One past the last committed record, as far as is known: for progress and lag, never to decide
  // that everything was read. Not less than what read() has ever given out, unless the log has
  // lost records.
  virtual std::uint64_t end_offset(std::uint32_t partition) = 0;

  // Whether only its one writer can have written to it. Then an event that doesn't follow from the
  // ones before it is damage; elsewhere it is what a fenced writer left behind, or a repeat.
  virtual bool has_one_writer() const = 0;
};

// The ordered, durable truth, in partitions. Everything that every implementation must do is in
// tests/infra/event_log_conformance.hpp.
//
// Threads: one thread at a time claims, appends to and releases a partition, and one at a time
// reads or waits; the two may do so at once.
// Errors: as LogReader's, except in append(), which says `unknown`.
class EventLog : public LogReader {
 public:
  // Takes the partition: appends a WriterClaimed record (with `proposal`'s id, time and writer)
  // and returns once it is committed. From then on nothing under an earlier claim is committed.
  virtual Claim claim(std::uint32_t partition, const domain::RecordedEvent& proposal) = 0;

  // Appends all of `batch`, in order, or none of it. Blocks until its fate is known, or for the
  // implementation's bound.
  // `canonical` has each event's canonical bytes (projections/event_chain.hpp), if they are known:
  // a log that stores them needn't make them again.
  // REQUIRES: `batch` isn't empty; each event's stamp carries `claim`'s epoch.
  virtual AppendResult append(const Claim& claim, std::span<const domain::RecordedEvent> batch,
                              std::span<const std::string> canonical = {}) = 0;

  // Lets go of the partition: what the claim holds is given back, and an append under it is fenced.
  // Does nothing if there is no claim. Blocks no longer than append(). Doesn't throw.
  virtual void release(std::uint32_t partition) = 0;
};

}  // namespace contactd::infra
