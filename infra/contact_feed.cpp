#include "infra/contact_feed.hpp"

#include <algorithm>

#include "domain/event_codec.hpp"
#include "domain/json_text.hpp"
#include "infra/cloud_event.hpp"
#include "projections/binary.hpp"

namespace contactd::infra {
namespace {

using namespace projections;
using domain::json_string;
using domain::OrganizationId;

// How many entries are taken from the store at once.
constexpr std::size_t entries_at_once_max = 256;

FeedItem with_event(const ReadStore& store, const OrganizationId& organization,
                    const FeedEntry& place) {
  const auto row =
      store.get(Table::history, keys::history(organization, place.contact, place.version));
  if (!row) throw CorruptRecord("an event of a feed isn't in its contact's history");
  return {place, read_history(*row)};
}

}  // namespace

bool FeedQuery::passes(HistoryEntry::Kind kind, const domain::ContactId& of) const {
  const bool wanted = (kind == HistoryEntry::Kind::created && created) ||
                      (kind == HistoryEntry::Kind::updated && updated) ||
                      (kind == HistoryEntry::Kind::deleted && deleted);
  return wanted && (!contact || *contact == of);
}

FeedPage read_feed(const ReadStore& store, const OrganizationId& organization,
                   const FeedQuery& query) {
  FeedPage page;
  page.looked_to = query.after;
  std::size_t looked_at = 0;
  std::size_t bytes = 0;
  for (;;) {
    const std::size_t wanted = std::min(entries_at_once_max, query.looked_at_max - looked_at);
    const auto entries = store.feed(organization, page.looked_to, wanted);
    for (const FeedEntry& entry : entries) {
      if (page.items.size() == query.count) {
        page.more = true;
        return page;
      }
      if (query.passes(entry.kind, entry.contact)) {
        FeedItem item = with_event(store, organization, entry);
        bytes += item.event.changes.size();
        if (bytes > query.bytes_max && !page.items.empty()) {
          page.more = true;
          return page;
        }
        page.items.push_back(std::move(item));
      }
      page.looked_to = entry.offset;
    }
    looked_at += entries.size();
    if (entries.size() < wanted) return page;
    if (looked_at == query.looked_at_max) {
      page.more = true;
      return page;
    }
  }
}

std::optional<FeedItem> read_feed_item(const ReadStore& store, const OrganizationId& organization,
                                       std::uint64_t offset) {
  const std::string key = keys::feed(organization, offset);
  const auto row = store.get(Table::feed, key);
  if (!row) return std::nullopt;
  return with_event(store, organization, projections::read_feed(key, *row));
}

void append_cloud_event(std::string& out, const OrganizationId& organization, const FeedItem& item,
                        std::string_view cursor) {
  const std::string_view type = type_of(item.event.kind);
  const auto member = [&](std::string_view name, const std::string& value) {
    out.append(",\"").append(name).append("\":").append(value);
  };
  const auto text = [&](std::string_view name, std::string_view value) {
    out.append(",\"").append(name).append("\":\"").append(value).append("\"");
  };
  out += R"({"specversion":"1.0","id":")" + item.event.event.str() + '"';
  text("source", cloud_event_source);
  text("type", type);
  text("subject", item.place.contact.view());
  text("time", domain::to_iso8601(item.event.time));
  text("datacontenttype", "application/json");
  text("dataschema", std::string{cloud_event_schema_prefix}.append(type));
  text("organization", organization.str());
  member("contactversion", std::to_string(item.place.version));
  if (!item.event.actor.empty()) member("actor", json_string(item.event.actor));
  if (!item.event.request_id.empty()) member("requestid", json_string(item.event.request_id));
  if (!cursor.empty()) text("cursor", cursor);
  out += R"(,"data":)";
  domain::append_contact_data(out, item.place.contact, item.place.version, item.event.changes);
  out += '}';
}

}  // namespace contactd::infra
