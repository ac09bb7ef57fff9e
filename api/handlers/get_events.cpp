#include "api/feed_events.hpp"
#include "api/handlers/handlers.hpp"
#include "api/limits.hpp"

namespace contactd::api {
namespace {

// Events that a stream which is behind reads at once, if they aren't large: a thousand streams may
// be, after a restart, and each holds these in memory until they are sent.
constexpr std::size_t stream_read_events_max = 16;

}  // namespace

Handled get_events(const Call& call) {
  const bool stream = wants_stream(call.request);
  const auto last_event_id = stream ? call.request.field("Last-Event-ID") : std::nullopt;
  auto request = read_feed_request(call.target, last_event_id.value_or(std::string_view{}));
  if (const auto* sentence = std::get_if<std::string>(&request)) {
    return error_response(call.format, 400, *sentence);
  }
  Feed feed{call.key->organization, call.key->id, std::get<FeedRequest>(std::move(request)),
            stream};
  if (stream) {
    feed.request.query.count = stream_read_events_max;
    feed.request.query.bytes_max = limits::feed_chunk_bytes_max;
  }
  if (call.request.method == "HEAD") feed.request.wait = {};
  return feed;
}

}  // namespace contactd::api
