#include <algorithm>

#include "api/handlers/handlers.hpp"

namespace contactd::api {
namespace {

constexpr std::string_view event_stream = "text/event-stream";
// Events that a stream which is behind reads at once: a thousand may be, after a restart, and each
// holds these in memory until they are sent.
constexpr std::size_t stream_read_events_max = 16;

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

// `q=0`, `q=0.0` and the like: not that one.
bool declined(std::string_view parameters) {
  const std::size_t at = parameters.find("q=0");
  return at != std::string_view::npos &&
         trimmed(parameters.substr(at + 3)).find_first_not_of(".0") == std::string_view::npos;
}

// Whether the Accept field names Server-Sent Events.
bool wants_stream(const Request& request) {
  const std::string accept = request.joined_field("Accept").value_or("");
  std::string_view rest = accept;
  while (!rest.empty()) {
    const std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
    const std::size_t semicolon = std::min(item.find(';'), item.size());
    if (equal_ignoring_case(trimmed(item.substr(0, semicolon)), event_stream)) {
      return !declined(item.substr(semicolon));
    }
  }
  return false;
}

}  // namespace

Handled get_events(const Call& call) {
  const bool stream = wants_stream(call.request);
  const auto last_event_id = stream ? call.request.field("Last-Event-ID") : std::nullopt;
  auto request = read_feed_request(call.target, last_event_id.value_or(std::string_view{}));
  if (const auto* sentence = std::get_if<std::string>(&request)) {
    return error_response(call.format, 400, *sentence);
  }
  Feed feed{
      call.key->organization, call.key->id, std::get<FeedRequest>(std::move(request)), stream, {}};
  if (stream) feed.request.query.count = stream_read_events_max;
  if (call.request.method == "HEAD") feed.request.wait = {};
  return feed;
}

}  // namespace contactd::api
