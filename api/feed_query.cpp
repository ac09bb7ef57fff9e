#include "api/feed_query.hpp"

#include "api/limits.hpp"
#include "api/query_values.hpp"

namespace contactd::api {
namespace {

using Kind = projections::HistoryEntry::Kind;

ErrorText read_after(FeedRequest& request, std::string_view value) {
  if (value.empty()) return std::nullopt;  // from the beginning
  if (value == "latest") {
    request.after = FromNow{};
    return std::nullopt;
  }
  const auto cursor = feed_cursor_from(value);
  if (!cursor) {
    return "Invalid query parameter 'after': send a cursor of an earlier answer as it came, or "
           "latest";
  }
  request.after = cursor;
  return std::nullopt;
}

ErrorText read_types(infra::FeedQuery& query, std::string_view value) {
  query.created = query.updated = query.deleted = false;
  for (;;) {
    const std::size_t comma = value.find(',');
    const std::string_view type = value.substr(0, comma);
    if (type == projections::type_of(Kind::created)) {
      query.created = true;
    } else if (type == projections::type_of(Kind::updated)) {
      query.updated = true;
    } else if (type == projections::type_of(Kind::deleted)) {
      query.deleted = true;
    } else {
      return "Invalid query parameter 'type': give one or more of contactd.contact.created.v1, "
             "contactd.contact.updated.v1 and contactd.contact.deleted.v1, with commas";
    }
    if (comma == std::string_view::npos) return std::nullopt;
    value.remove_prefix(comma + 1);
  }
}

ErrorText read_param(FeedRequest& request, const std::string& name, const std::string& value) {
  if (name == "after") return read_after(request, value);
  if (name == "limit")
    return read_number(request.query.count, name, value, 1, limits::page_size_max);
  if (name == "wait") {
    std::uint64_t seconds = 0;
    auto error = read_number(seconds, name, value, 0, limits::feed_wait_seconds_max);
    request.wait = std::chrono::seconds{seconds};
    return error;
  }
  if (name == "type") return read_types(request.query, value);
  if (name == "contact") {
    request.query.contact = domain::ContactId::parse(value);
    if (request.query.contact) return std::nullopt;
    return "Invalid query parameter 'contact': give the id of a contact";
  }
  return "Unknown query parameter '" + name + "'; known are after, limit, wait, type, contact";
}

}  // namespace

std::variant<FeedRequest, std::string> read_feed_request(const Target& target,
                                                         std::string_view last_event_id) {
  FeedRequest request;
  request.query.count = limits::page_size_default;
  request.query.looked_at_max = limits::feed_looked_at_max;
  request.query.bytes_max = limits::page_bytes_max;
  const auto read = [&](const auto& name, const auto& value) {
    return read_param(request, name, value);
  };
  if (auto error = read_params(target, read)) return *std::move(error);
  if (last_event_id.empty()) return request;
  const auto cursor = feed_cursor_from(last_event_id);
  if (!cursor) return "Invalid header Last-Event-ID: send the id of an earlier event as it came";
  request.after = cursor;
  return request;
}

}  // namespace contactd::api
