#pragma once

#include <chrono>
#include <string>
#include <variant>

#include "api/feed_cursor.hpp"
#include "api/query.hpp"
#include "infra/contact_feed.hpp"

namespace contactd::api {

// What GET /events asks for. Where to begin: after an event, or with what happens from now on.
struct FromNow {};
struct FeedRequest {
  std::variant<std::optional<FeedCursor>, FromNow> after;  // nothing: from the beginning
  infra::FeedQuery query;                                  // but for its `after`
  std::chrono::seconds wait{0};
};

// Or the sentence that says what is wrong. `last_event_id`, if it isn't empty, goes before the
// query's `after`: it is what a client that reconnects has seen since.
std::variant<FeedRequest, std::string> read_feed_request(const Target& target,
                                                         std::string_view last_event_id);

}  // namespace contactd::api
