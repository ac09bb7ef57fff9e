#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "domain/contact/contact.hpp"
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

// The type that events of that kind have in the log.
std::string_view type_of(HistoryEntry::Kind kind);

// The opposite of domain::append_changes(). Throws CorruptRecord.
std::vector<domain::FieldChange> read_changes(std::string_view json);

// Whether the event changed one of `fields`. Throws CorruptRecord.
bool touches(const HistoryEntry& entry, const std::vector<domain::Field>& fields);

// The state of `contact` in `version`, which `entry` tells of, from `state` in the version before:
// what evolve() made of the same event. Throws CorruptRecord.
domain::ContactState evolve(domain::ContactState state, const domain::ContactId& contact,
                            domain::Version version, const HistoryEntry& entry);

// Every so many versions of a contact the fold keeps a snapshot of it, so that any version is read
// with one snapshot and less than so many rows of history, however many versions there are.
inline constexpr domain::Version snapshot_interval = 64;
// The version of the newest snapshot that is needed for `version`; 0: there is none, start at the
// creation.
constexpr domain::Version snapshot_before(domain::Version version) {
  return version / snapshot_interval * snapshot_interval;
}

}  // namespace contactd::projections
