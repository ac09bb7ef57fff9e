#include <algorithm>

#include "infra/errors.hpp"
#include "infra/log.hpp"
#include "infra/webhook_dispatcher.hpp"

// What is read of the feed and the journal to fill the endpoints' queues.
namespace contactd::infra {
namespace {

using domain::Webhook;
using domain::WebhookId;
using projections::HistoryEntry;

// Events read at once, and those looked at for it, which filters may hold back.
constexpr std::size_t read_at_once_max = 64;
constexpr std::size_t looked_at_max = 1'024;
// Where nothing is delivered, an endpoint's progress is written this seldom.
constexpr std::uint64_t passed_over_max = 10'000;
// No pause is longer: neither the schedule's longest, lengthened, nor one that was asked for.
constexpr std::chrono::milliseconds pause_max = std::chrono::hours{27};

// What the webhook wants of the feed after that offset.
FeedQuery feed_query(const Webhook& webhook, std::uint64_t after, std::size_t count) {
  FeedQuery query;
  query.after = after;
  query.count = count;
  query.looked_at_max = looked_at_max;
  query.created = wants(webhook, HistoryEntry::Kind::created);
  query.updated = wants(webhook, HistoryEntry::Kind::updated);
  query.deleted = wants(webhook, HistoryEntry::Kind::deleted);
  return query;
}

}  // namespace

std::optional<WebhookDelivery> WebhookDispatcher::journaled(const WebhookId& id,
                                                            std::uint64_t offset,
                                                            const domain::EventId& event) const {
  try {
    auto known = parts_.journal.find(id, offset);
    // Of a log that had another event there, before a backup was restored.
    if (known && known->event != event) known.reset();
    return known;
  } catch (const Unavailable& problem) {
    spdlog::error("{}", problem.what());
    return std::nullopt;
  }
}

// When that is by uptime. Where the time of day was set back since it was noted, not so much later.
domain::Instant WebhookDispatcher::due_at(domain::Instant time) const {
  const std::int64_t left = time.unix_ms - parts_.clock().unix_ms;
  return {parts_.uptime().unix_ms + std::min<std::int64_t>(left, pause_max.count())};
}

// The event where it was in its schedule, as far as that is known here; else at its beginning, due
// since `due`. Also of an event that is read as a new one: a failed attempt is no progress, so
// that after a restart, or once the endpoint is enabled again, it may not be among the pending.
WebhookQueue::Event WebhookDispatcher::queued(const WebhookId& id, const FeedItem& item,
                                              domain::Instant due) const {
  WebhookQueue::Event event{item.place.offset, item.place.contact, item.event.time, 0, due};
  const auto known = journaled(id, item.place.offset, item.event.event);
  if (known && known->state == WebhookDelivery::State::pending) {
    event.attempts = known->failed;
    event.due = due_at(known->next_attempt);
  } else if (known) {
    event.sought_to = event.offset;  // settled before a kill that the progress didn't survive
  }
  return event;
}

// What was pending when the progress was written.
void WebhookDispatcher::restore(Endpoint& endpoint) const {
  const Webhook& webhook = endpoint.webhook;
  for (const std::uint64_t offset : webhook.pending) {
    const auto item = read_feed_item(parts_.store, webhook.organization, offset);
    if (!item || !endpoint.queue.has_room()) continue;
    WebhookQueue::Event event = queued(webhook.id, *item, {});
    event.last_behind = webhook.next_offset - 1;  // or none is
    endpoint.queue.add(event);
  }
}

// One page, so that the other endpoints have their turn.
void WebhookDispatcher::read_on(Endpoint& endpoint, domain::Instant now) const {
  if (!endpoint.unread || !endpoint.queue.has_room()) return;
  const Webhook& webhook = endpoint.webhook;
  const std::size_t room = domain::webhook_pending_max - endpoint.queue.size();
  const FeedPage page = read_feed(
      parts_.store, webhook.organization,
      feed_query(webhook, endpoint.queue.next_offset() - 1, std::min(read_at_once_max, room)));
  for (const FeedItem& item : page.items) {
    // Due since now, so that what is tried again has its turn among what is new.
    const WebhookQueue::Event event = queued(webhook.id, item, now);
    endpoint.queue.add(event);
    if (event.sought_to) endpoint.dirty = true;
  }
  endpoint.passed_over += page.looked_to + 1 - endpoint.queue.next_offset();
  endpoint.queue.passed(page.looked_to + 1);
  endpoint.unread = page.more;
  if (endpoint.passed_over > passed_over_max) endpoint.dirty = true;
}

// One page in search of what is behind an event that is done.
void WebhookDispatcher::seek_on(Endpoint& endpoint) const {
  WebhookQueue& queue = endpoint.queue;
  const WebhookQueue::Event* done = queue.seeking();
  if (done == nullptr) return;
  const Webhook& webhook = endpoint.webhook;
  FeedQuery query = feed_query(webhook, *done->sought_to, 1);
  query.contact = done->contact;
  const FeedPage page = read_feed(parts_.store, webhook.organization, query);
  const std::uint64_t end = std::min(queue.next_offset(), done->last_behind + 1);
  if (!page.items.empty() && page.items.front().place.offset < end) {
    // Due since now, so that a contact with many has its turn among the others.
    queue.followed_by(done->offset, queued(webhook.id, page.items.front(), parts_.uptime()));
  } else if (page.items.empty() && page.more && page.looked_to + 1 < end) {
    return queue.sought(done->offset, page.looked_to);
  } else {
    queue.was_last(done->offset);
  }
  endpoint.dirty = true;
}

// At once where that is found at once, so that the progress won't have what was delivered.
void WebhookDispatcher::seek_soon(Endpoint& endpoint) const {
  try {
    seek_on(endpoint);
  } catch (const std::exception& problem) {
    spdlog::error("webhook {}: {}; trying again", endpoint.webhook.id, problem.what());
  }
}

}  // namespace contactd::infra
