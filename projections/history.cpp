#include "projections/history.hpp"

#include <algorithm>

#include "domain/event_codec.hpp"
#include "projections/binary.hpp"

namespace contactd::projections {
namespace {

constexpr std::uint8_t row_format = 1;

}  // namespace

std::string encode_history(HistoryEntry::Kind kind, const domain::RecordedEvent& event,
                           const std::vector<domain::FieldChange>* changes) {
  std::string json;
  if (changes != nullptr) domain::append_changes(json, *changes);
  std::string row;
  row.reserve(64 + event.actor.size() + event.request_id.size() + json.size());
  append_number(row, row_format);
  append_number(row, static_cast<std::uint8_t>(kind));
  row.append(event.id.bytes.begin(), event.id.bytes.end());
  append_number(row, event.time.unix_ms);
  append_bytes(row, event.actor);
  append_bytes(row, event.request_id);
  append_bytes(row, json);
  return row;
}

HistoryEntry read_history(std::string_view row) {
  BinaryReader reader{row};
  if (reader.number<std::uint8_t>() != row_format) throw CorruptRecord("an unknown history row");
  HistoryEntry entry;
  entry.kind = static_cast<HistoryEntry::Kind>(reader.number<std::uint8_t>());
  if (entry.kind < HistoryEntry::Kind::created || entry.kind > HistoryEntry::Kind::deleted) {
    throw CorruptRecord("a history row of an unknown kind");
  }
  const std::string_view id = reader.take(entry.event.bytes.size());
  std::copy(id.begin(), id.end(), entry.event.bytes.begin());
  entry.time.unix_ms = reader.number<std::int64_t>();
  entry.actor = reader.bytes();
  entry.request_id = reader.bytes();
  entry.changes = reader.bytes();
  return entry;
}

}  // namespace contactd::projections
