#include "projections/history.hpp"

#include <algorithm>
#include <cstdlib>

#include "domain/contact/decide.hpp"
#include "domain/event_codec.hpp"
#include "projections/binary.hpp"

namespace contactd::projections {
namespace {

constexpr std::uint8_t history_row_format = 1;

[[noreturn]] void refuse_changes() {
  throw CorruptRecord("a history row's changes aren't as this release writes them");
}

void take(std::string_view& json, std::string_view text) {
  if (!json.starts_with(text)) refuse_changes();
  json.remove_prefix(text.size());
}

domain::FieldValue take_value(std::string_view& json) {
  const auto length = domain::canonical_value_length(json);
  if (!length) refuse_changes();
  const auto value = domain::FieldValue::from_canonical(json.substr(0, *length));
  json.remove_prefix(*length);
  return value;
}

// `"name":{"old":value,"new":value}`.
domain::FieldChange take_change(std::string_view& json) {
  take(json, "\"");
  const std::size_t end = json.find('"');
  const auto field = domain::field_named(json.substr(0, end));
  if (!field) refuse_changes();
  json.remove_prefix(end);
  take(json, R"(":{"old":)");
  auto before = take_value(json);
  take(json, R"(,"new":)");
  auto after = take_value(json);
  take(json, "}");
  return {*field, std::move(before), std::move(after)};
}

// At least what append_changes() writes, or little less.
std::size_t changes_length(const std::vector<domain::FieldChange>* changes) {
  constexpr std::size_t around = std::string_view{R"(,"phone_number":{"old":,"new":})"}.size();
  std::size_t length = 2;
  if (changes == nullptr) return length;
  for (const domain::FieldChange& change : *changes) {
    length += around + change.before.json().size() + change.after.json().size();
  }
  return length;
}

// Of the bytes that follow the number at `at` until the end.
void set_length(std::string& row, std::size_t at) {
  std::string number;
  append_number(number, static_cast<std::uint32_t>(row.size() - at - sizeof(std::uint32_t)));
  row.replace(at, number.size(), number);
}

}  // namespace

std::string encode_history(HistoryEntry::Kind kind, const domain::RecordedEvent& event,
                           const std::vector<domain::FieldChange>* changes) {
  std::string row;
  row.reserve(64 + event.actor.size() + event.request_id.size() + changes_length(changes));
  append_number(row, history_row_format);
  append_number(row, static_cast<std::uint8_t>(kind));
  row.append(event.id.bytes.begin(), event.id.bytes.end());
  append_number(row, event.time.unix_ms);
  append_bytes(row, event.actor);
  append_bytes(row, event.request_id);
  const std::size_t length_at = row.size();
  append_number(row, std::uint32_t{0});
  if (changes != nullptr) domain::append_changes(row, *changes);
  set_length(row, length_at);
  return row;
}

HistoryEntry read_history(std::string_view row) {
  BinaryReader reader{row};
  if (reader.number<std::uint8_t>() != history_row_format)
    throw CorruptRecord("an unknown history row");
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

std::string_view type_of(HistoryEntry::Kind kind) {
  switch (kind) {
    case HistoryEntry::Kind::created:
      return domain::type_of(domain::ContactCreated{});
    case HistoryEntry::Kind::updated:
      return domain::type_of(domain::ContactUpdated{});
    case HistoryEntry::Kind::deleted:
      return domain::type_of(domain::ContactDeleted{});
  }
  std::abort();
}

std::vector<domain::FieldChange> read_changes(std::string_view json) {
  std::vector<domain::FieldChange> changes;
  take(json, "{");
  while (!json.starts_with('}')) {
    if (!changes.empty()) take(json, ",");
    changes.push_back(take_change(json));
  }
  if (json.size() != 1) refuse_changes();
  return changes;
}

bool touches(const HistoryEntry& entry, const std::vector<domain::Field>& fields) {
  if (entry.kind == HistoryEntry::Kind::deleted) return false;
  const auto changes = read_changes(entry.changes);
  return std::any_of(changes.begin(), changes.end(), [&](const domain::FieldChange& change) {
    return std::find(fields.begin(), fields.end(), change.field) != fields.end();
  });
}

domain::ContactState evolve(domain::ContactState state, const domain::ContactId& contact,
                            domain::Version version, const HistoryEntry& entry) {
  switch (entry.kind) {
    case HistoryEntry::Kind::created:
      return domain::evolve(std::move(state),
                            domain::ContactCreated{contact, read_changes(entry.changes)},
                            entry.time);
    case HistoryEntry::Kind::updated:
      return domain::evolve(std::move(state),
                            domain::ContactUpdated{contact, version, read_changes(entry.changes)},
                            entry.time);
    case HistoryEntry::Kind::deleted:
      return domain::evolve(std::move(state), domain::ContactDeleted{contact, version}, entry.time);
  }
  std::abort();
}

}  // namespace contactd::projections
