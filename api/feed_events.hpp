#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api/feed_query.hpp"
#include "api/http_message.hpp"
#include "api/problem.hpp"
#include "api/services.hpp"

namespace contactd::api {

// An event of a feed as it is sent; many who follow the feed share one.
struct FeedEvent {
  FeedPosition position;
  projections::HistoryEntry::Kind kind = projections::HistoryEntry::Kind::created;
  domain::ContactId contact;
  std::string cursor;
  std::string json;
};
using FeedEventPtr = std::shared_ptr<const FeedEvent>;

// A run of a feed, as far as the filters let it through.
struct FeedBatch {
  std::vector<FeedEventPtr> events;
  FeedPosition position;  // up to where it was looked at
  bool more = false;      // whether something follows that was not looked at
};

// An organization's feed, read from the store and rendered. Threads: any.
class FeedReader {
 public:
  FeedReader(const Services& services, domain::OrganizationId organization);

  // Where to begin; the refusal, if the cursor is none of this feed's (410), or may be one that is
  // not folded here yet (not_yet_response()).
  std::variant<FeedPosition, Response> start(const FeedRequest& request, bool stream,
                                             ErrorFormat format) const;
  FeedBatch read(const FeedPosition& after, infra::FeedQuery query) const;
  // The position of the last event there is.
  FeedPosition end() const;

  std::string cursor(const FeedPosition& position) const;
  const domain::OrganizationId& organization() const { return organization_; }

 private:
  FeedEventPtr render(const infra::FeedItem& item) const;

  const Services& services_;
  const domain::OrganizationId organization_;
  const std::uint32_t partition_;
};

// Whether Accept names Server-Sent Events, and JSON not with more weight.
bool wants_stream(const Request& request);

// The answer to who can't be served yet: 503. For clients of Server-Sent Events that would be the
// end (HTML standard, 9.2.3); if it is a `stream` that was asked for, it ends at once and tells
// when to come again, which they do with the id that they had last.
Response not_yet_response(bool stream, ErrorFormat format, std::string_view why);

// A page as JSON.
Response page_response(const FeedBatch& batch, const std::string& next_cursor);

// An event, and a place without one, in the form of Server-Sent Events (HTML standard, 9.2).
void append_sse_event(std::string& out, const FeedEvent& event);
void append_sse_id(std::string& out, const std::string& cursor);

}  // namespace contactd::api
