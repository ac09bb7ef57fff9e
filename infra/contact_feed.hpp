#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "infra/read_store.hpp"
#include "projections/feed.hpp"
#include "projections/history.hpp"

// Reads an organization's contact events in the order of the log, from what the store has of them.
// Threads: any. Throws as ReadStore does; CorruptRecord where a history isn't whole.
namespace contactd::infra {

struct FeedItem {
  projections::FeedEntry place;
  projections::HistoryEntry event;
};

struct FeedQuery {
  std::uint64_t after = 0;        // the offset of what was seen last; 0: from the beginning
  std::size_t count = 0;          // at most so many events
  std::size_t looked_at_max = 0;  // of all events, those too that the filters hold back
  // At most so many bytes of changes, unless the first event alone has more.
  std::size_t bytes_max = std::numeric_limits<std::size_t>::max();

  // Filters.
  bool created = true;
  bool updated = true;
  bool deleted = true;
  std::optional<domain::ContactId> contact;

  bool passes(projections::HistoryEntry::Kind kind, const domain::ContactId& of) const;
};

struct FeedPage {
  std::vector<FeedItem> items;
  std::uint64_t looked_to = 0;  // the offset of the last event that was looked at, or `after`
  bool more = false;  // whether it ended for a bound of the query's, not for want of events
};

FeedPage read_feed(const ReadStore& store, const domain::OrganizationId& organization,
                   const FeedQuery& query);

// The event at that offset; nothing if none of a contact of the organization is there.
std::optional<FeedItem> read_feed_item(const ReadStore& store,
                                       const domain::OrganizationId& organization,
                                       std::uint64_t offset);

// The event as JSON (CloudEvents 1.0, structured mode): the attributes that it has as a Kafka
// record (cloud_event.hpp), those of the writer aside, and `data`, byte for byte its value.
// `cursor` is added as an attribute if it isn't empty.
void append_cloud_event(std::string& out, const domain::OrganizationId& organization,
                        const FeedItem& item, std::string_view cursor = {});

}  // namespace contactd::infra
