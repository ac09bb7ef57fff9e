#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "domain/events.hpp"

namespace contactd::projections {

// One event of a contact, as its history tells it. The row of table `history`:
//
//   format:1 (= 1)  kind:1  event-id:16  time_ms:8  actor  request-id  changes
//
// with a length of 32 bits before each of the last three; `changes` is the JSON of
// domain::append_changes(), empty for a deletion.
struct HistoryEntry {
  enum class Kind : std::uint8_t { created = 1, updated = 2, deleted = 3 };

  Kind kind = Kind::created;
  domain::EventId event;
  domain::Instant time;
  std::string actor;
  std::string request_id;
  std::string changes;

  auto operator<=>(const HistoryEntry&) const = default;
};

// The row of `event`, of which `changes` may be null.
std::string encode_history(HistoryEntry::Kind kind, const domain::RecordedEvent& event,
                           const std::vector<domain::FieldChange>* changes);
HistoryEntry read_history(std::string_view row);  // throws CorruptRecord

}  // namespace contactd::projections
