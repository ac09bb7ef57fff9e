#include "api/feed_events.hpp"

#include "api/accept.hpp"
#include "api/limits.hpp"
#include "infra/random.hpp"

namespace contactd::api {
namespace {

// How to be whole again without the events that are missing.
constexpr std::string_view resync_target = "/api/v1/contacts?cursor=";

Response cursor_gone(ErrorFormat format) {
  return error_response(format, 410,
                        "This cursor is no place in this organization's feed: it is another "
                        "organization's, or the log was restored from before it. Take a new one "
                        "with after=latest, then list the contacts, then go on from it",
                        R"("resync":")" + std::string{resync_target} + '"')
      .with("Link", '<' + std::string{resync_target} + R"(>; rel="alternate"; title="resync")");
}

}  // namespace

FeedReader::FeedReader(const Services& services, domain::OrganizationId organization)
    : services_(services),
      organization_(std::move(organization)),
      partition_(services.partitions.partition_of(organization_)) {}

std::variant<FeedPosition, Response> FeedReader::start(const FeedRequest& request, bool stream,
                                                       ErrorFormat format) const {
  if (std::holds_alternative<FromNow>(request.after)) return end();
  const FeedPosition beginning = feed_beginning(organization_);
  const auto& cursor = std::get<std::optional<FeedCursor>>(request.after);
  if (!cursor || *cursor == FeedCursor{partition_, beginning}) return beginning;
  if (cursor->partition != partition_) return cursor_gone(format);
  const auto item = infra::read_feed_item(services_.store, organization_, cursor->position.offset);
  if (item && position_of(*item) == cursor->position) return cursor->position;
  // Another instance may have folded further than this one; not so while this one is the writer.
  using State = infra::Writer::Status::State;
  const bool all_folded =
      services_.read_only ||
      cursor->position.offset < services_.store.checkpoint(partition_).next_offset ||
      services_.partitions.writer_of(organization_).status().state == State::serving;
  if (all_folded) return cursor_gone(format);
  return not_yet_response(stream, format,
                          "This instance may not have folded this cursor's event yet; try again");
}

FeedBatch FeedReader::read(const FeedPosition& after, infra::FeedQuery query) const {
  query.after = after.offset;
  const infra::FeedPage page = infra::read_feed(services_.store, organization_, query);
  FeedBatch batch{{}, after, page.more};
  batch.events.reserve(page.items.size());
  for (const infra::FeedItem& item : page.items) batch.events.push_back(render(item));
  if (page.looked_to == after.offset) return batch;
  if (!page.items.empty() && page.items.back().place.offset == page.looked_to) {
    batch.position = batch.events.back()->position;
  } else {
    const auto last = infra::read_feed_item(services_.store, organization_, page.looked_to);
    if (last) batch.position = position_of(*last);
  }
  return batch;
}

FeedPosition FeedReader::end() const {
  const auto last = services_.store.feed_end(organization_);
  const auto item =
      last ? infra::read_feed_item(services_.store, organization_, last->offset) : std::nullopt;
  return item ? position_of(*item) : feed_beginning(organization_);
}

std::string FeedReader::cursor(const FeedPosition& position) const {
  return to_text(FeedCursor{partition_, position});
}

FeedEventPtr FeedReader::render(const infra::FeedItem& item) const {
  auto event = std::make_shared<FeedEvent>();
  event->position = position_of(item);
  event->kind = item.event.kind;
  event->contact = item.place.contact;
  event->cursor = cursor(event->position);
  infra::append_cloud_event(event->json, organization_, item, event->cursor);
  return event;
}

bool wants_stream(const Request& request) {
  const int weight = named_weight(request, "text/event-stream");
  return weight > 0 && weight >= named_weight(request, "application/json");
}

Response not_yet_response(bool stream, ErrorFormat format, std::string_view why) {
  if (!stream) return overloaded(format, why);
  // All who followed come at once after a restart, but not all at the same moment again.
  std::uint64_t random = 0;
  infra::fill_random({&random, 1});
  const auto pause_ms = static_cast<std::uint64_t>(limits::feed_retry.count());
  Response response;
  response.content_type = "text/event-stream";
  response.close = true;  // as the end of any stream does
  response.body.append(": ").append(why).append("\nretry: ");
  response.body.append(std::to_string(pause_ms + random % pause_ms)).append("\n\n");
  return response;
}

Response page_response(const FeedBatch& batch, const std::string& next_cursor) {
  constexpr std::size_t beside_events_bytes = 256;
  Response response;
  std::string& body = response.body;
  std::size_t bytes = beside_events_bytes;
  for (const FeedEventPtr& event : batch.events) bytes += event->json.size() + 1;
  body.reserve(bytes);
  body = R"({"data":[)";
  for (std::size_t i = 0; i < batch.events.size(); ++i) {
    if (i > 0) body += ',';
    body += batch.events[i]->json;
  }
  body += R"(],"next_cursor":")" + next_cursor + R"(","has_more":)";
  body += batch.more ? "true}" : "false}";
  return response;
}

void append_sse_event(std::string& out, const FeedEvent& event) {
  out.append("id: ").append(event.cursor).append("\nevent: ");
  out.append(projections::type_of(event.kind)).append("\ndata: ");
  out.append(event.json).append("\n\n");
}

void append_sse_id(std::string& out, const std::string& cursor) {
  out.append("id: ").append(cursor).append("\n\n");
}

}  // namespace contactd::api
