#include "api/feed_cursor.hpp"
#include "api/feed_query.hpp"
#include "api/list_query.hpp"
#include "api/past_query.hpp"
#include "api/preconditions.hpp"
#include "api/query.hpp"
#include "tests/fuzz/targets.hpp"

namespace contactd::fuzz {
namespace {

using namespace api;

const domain::OrganizationId acme = *domain::OrganizationId::parse("acme");
constexpr std::string_view contact_text = "AbCdEfGhIjKlMnOpQrSt";

ListRequest past_list() {
  ListRequest request;
  request.at = domain::parse_iso8601("2025-07-15T08:30:00.123Z");
  return request;
}

void read_list(const api::Target& target) {
  const auto read = read_list_request(target, acme);
  if (const auto* bad = std::get_if<BadListRequest>(&read)) {
    return require(!bad->sentence.empty(), "a refusal says which parameter is wrong");
  }
  const auto& request = std::get<ListRequest>(read);
  require(request.query.page_size >= 1 && request.query.page_size <= 200, "a page is bounded");
  if (!request.by_cursor || !request.query.after) return;
  const std::string cursor = cursor_text(request, acme, *request.query.after);
  const std::string at = request.at ? "&at=" + domain::to_iso8601(*request.at) : "";
  const auto again = parse_target("/?cursor=" + cursor + at);
  require(again.has_value(), "a cursor can be sent as it is");
  const auto same = read_list_request(*again, acme);
  const auto* back = std::get_if<ListRequest>(&same);
  require(back != nullptr && back->query.after == request.query.after,
          "a cursor reads back as the position that it is of");
}

void read_past(const api::Target& target) {
  const auto moment = read_moment(target);
  if (const auto* sentence = std::get_if<std::string>(&moment)) {
    require(!sentence->empty(), "a refusal says which parameter is wrong");
  }
  const auto history = read_history_query(target, acme, contact_text);
  if (const auto* sentence = std::get_if<std::string>(&history)) {
    require(!sentence->empty(), "a refusal says which parameter is wrong");
  }
}

void read_feed(const api::Target& target, std::string_view last_event_id) {
  const auto read = read_feed_request(target, last_event_id);
  if (const auto* sentence = std::get_if<std::string>(&read)) {
    return require(!sentence->empty(), "a refusal says which parameter is wrong");
  }
  const auto& after = std::get<FeedRequest>(read).after;
  const auto* cursor = std::get_if<std::optional<FeedCursor>>(&after);
  if (cursor == nullptr || !*cursor) return;
  require(feed_cursor_from(to_text(**cursor)) == *cursor, "a feed's cursor reads back");
}

}  // namespace

void query_string(std::string_view input) {
  const auto matched = parse_if_match(input);
  if (const auto* sentence = std::get_if<std::string>(&matched)) {
    require(!sentence->empty(), "a refusal says what is wrong");
  }
  none_match_hits(input, 3);
  const auto target = parse_target(input);
  if (!target) return;
  for (const auto& [name, value] : target->params) {
    const auto again = parse_target("/?v=" + encode_query_value(value));
    require(again && again->params.size() == 1 && again->params.front().second == value,
            "a value reads back as it was encoded");
  }
  read_list(*target);
  read_past(*target);
  read_feed(*target, {});
  read_feed(*target, input);
}

std::vector<std::string> query_string_seeds() {
  return {"/api/v1/contacts?page=2&page_size=50&status=active,inactive&email=a%40b.example",
          "/api/v1/contacts?cursor=&tag=%F0%9F%98%80&updated_from=2025-07-15T10:30:00Z",
          "/api/v1/contacts?updated_to=2025-07-15&cursor=" +
              cursor_text({}, acme, {{1'752'575'400'000}, 5}),
          "/api/v1/contacts?at=2025-07-15T10:30:00.123%2B02:00&cursor=" +
              cursor_text(past_list(), acme, {{1'752'575'400'000}, 5}),
          "/api/v1/contacts/AbCdEfGhIjKlMnOpQrSt/history?limit=5&field=email&cursor=" +
              history_cursor(acme, contact_text, 3),
          "/api/v1/events?after=" + to_text({1, {7, 9}}) + "&limit=5&wait=3",
          "/api/v1/events?after=latest&contact=AbCdEfGhIjKlMnOpQrSt",
          "/x/%2e%2e/y?version=3",
          "\"1\", W/\"2\", \"zz\"",
          "*",
          "/?a=b&&=&c"};
}

}  // namespace contactd::fuzz
