#include "projections/feed.hpp"

#include "projections/binary.hpp"
#include "projections/key_layout.hpp"

namespace contactd::projections {

using domain::ContactId;

std::string encode_feed(HistoryEntry::Kind kind, const ContactId& contact,
                        domain::Version version) {
  std::string row;
  row.reserve(1 + ContactId::length + sizeof version);
  append_number(row, static_cast<std::uint8_t>(kind));
  row += contact.view();
  append_number(row, version);
  return row;
}

FeedEntry read_feed(std::string_view key, std::string_view row) {
  BinaryReader reader{row};
  FeedEntry entry;
  entry.offset = keys::feed_offset(key);
  entry.kind = static_cast<HistoryEntry::Kind>(reader.number<std::uint8_t>());
  const auto contact = ContactId::parse(reader.take(ContactId::length));
  entry.version = reader.number<domain::Version>();
  const bool known = entry.kind >= HistoryEntry::Kind::created &&
                     entry.kind <= HistoryEntry::Kind::deleted && contact && reader.rest().empty();
  if (!known) throw CorruptRecord("a row of feed isn't as this release writes it");
  entry.contact = *contact;
  return entry;
}

}  // namespace contactd::projections
