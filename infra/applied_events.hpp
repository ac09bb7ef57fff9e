#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "infra/event_log.hpp"
#include "projections/broken_log.hpp"
#include "projections/checkpoint.hpp"

namespace contactd::infra {

struct AppliedEvent {
  std::uint32_t partition = 0;
  std::uint64_t offset = 0;
  domain::RecordedEvent event;
};

// Reads one partition of a log as a fold does: the events that hold, in order, and no others. What
// a fenced writer left behind, what is out of sequence, and what isn't contactd's is passed over;
// where the chain breaks, it ends. (Begun in the middle of a log, it takes the first hash that it
// finds for right.)
// Threads: one at a time.
class AppliedEvents {
 public:
  // From offset `from` on. Which events hold depends on the claim before them, so it may begin to
  // read before that; not at the log's beginning, if there is a claim nearer.
  AppliedEvents(LogReader& log, std::uint32_t partition, std::uint64_t from);

  // The next one, if the log shows one now; it stays the next one until it was taken.
  // Throws LogUnavailable; and projections::BrokenLog, once all that comes before was taken.
  const AppliedEvent* next();
  AppliedEvent take();

  // Where to read on; no event that holds, and that next() hasn't given, is before it.
  std::uint64_t next_offset() const;
  std::uint32_t partition() const { return partition_; }

 private:
  std::uint64_t claim_before(std::uint64_t from);
  bool read_more();
  void take_in(LogEntry& entry);
  projections::Admission admit(const LogEntry& entry, const domain::RecordedEvent& event);

  LogReader& log_;
  const std::uint32_t partition_;
  const std::uint64_t from_;
  projections::Checkpoint checkpoint_;
  bool chained_ = false;  // the hash up to here is known
  std::optional<projections::BrokenLog> broken_;
  std::deque<AppliedEvent> read_;
};

}  // namespace contactd::infra
