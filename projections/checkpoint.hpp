#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "domain/events.hpp"
#include "domain/instant.hpp"
#include "projections/event_chain.hpp"

namespace contactd::projections {

// How far the projections of one partition have folded, and what the next event must show.
// Stored with what was folded, in the same write.
struct Checkpoint {
  std::uint64_t next_offset = 0;    // the first one not folded
  std::uint64_t claim = 0;          // offset of the current writer's claim
  std::uint64_t next_sequence = 0;  // what its next event must carry; 0 before the first claim
  domain::Instant last_time;        // of the last event applied; no later one is earlier
  ChainHead chain = {};             // of the events applied

  auto operator<=>(const Checkpoint&) const = default;
};

std::string encode(const Checkpoint& checkpoint);
Checkpoint read_checkpoint(std::string_view record);  // throws CorruptRecord

// Whether an event may be applied.
enum class Admission {
  current,          // its claim is the current one and its number the next one
  stale_claim,      // another writer has claimed since: it was fenced, nothing it says holds
  out_of_sequence,  // a repeat, or one after a gap
};

// REQUIRES: the event at `offset` is the next one of the log. Advances the checkpoint past it; its
// claim, sequence and time move only if the event is admitted.
Admission admit(Checkpoint& checkpoint, std::uint64_t offset, const domain::RecordedEvent& event);

// The same for who goes by all of the log: an event that is admitted, and has these canonical
// bytes, must follow in the chain, too. Throws BrokenLog if it doesn't; the checkpoint must then be
// dropped. So does one that isn't admitted, but is by its hash the one that comes next and names a
// claim that is yet to come: the log's records aren't where they were written, as in a copy of a
// topic, and to pass over it would be to lose what was acknowledged.
Admission admit_in_chain(Checkpoint& checkpoint, std::uint64_t offset,
                         const domain::RecordedEvent& event, std::string_view canonical);

}  // namespace contactd::projections
