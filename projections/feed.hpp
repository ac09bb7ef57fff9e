#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "domain/ids.hpp"
#include "projections/history.hpp"

namespace contactd::projections {

// One event of a contact, in the order of its organization's events. The row of table `feed`:
//
//   kind:1  contact-id:20  version:8
//
// What happened is in the contact's history, under that version.
struct FeedEntry {
  std::uint64_t offset = 0;  // in the organization's partition; part of the key
  HistoryEntry::Kind kind = HistoryEntry::Kind::created;
  domain::ContactId contact;
  domain::Version version = 0;

  auto operator<=>(const FeedEntry&) const = default;
};

std::string encode_feed(HistoryEntry::Kind kind, const domain::ContactId& contact,
                        domain::Version version);
FeedEntry read_feed(std::string_view key, std::string_view row);  // throws CorruptRecord

}  // namespace contactd::projections
