#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace contactd::projections {

// The log says something that no writer could have decided: an update of a contact that isn't
// there, a version that isn't the next; or not what was written: its chain of hashes breaks, or a
// record is missing. The fold stops; it never guesses.
struct BrokenLog : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The event at `offset` `what`: the end of a sentence, such as "deletes a contact that isn't
// there".
BrokenLog broken_event(std::uint64_t offset, std::string_view what);

// The record there is no event that this release can read.
BrokenLog unreadable_record(std::uint64_t offset, std::string_view reason);

// The event there follows from the ones before it, but its claim isn't at the offset that it says.
BrokenLog moved_event(std::uint64_t offset, std::uint64_t claim);

// Of a log that has one writer: the event there isn't the next one of the claim in force.
BrokenLog misplaced_event(std::uint64_t offset);

}  // namespace contactd::projections
