#include <algorithm>

#include "infra/errors.hpp"
#include "infra/log.hpp"
#include "infra/random.hpp"
#include "infra/webhook_dispatcher.hpp"
#include "projections/history.hpp"

// What is sent and what becomes of it; webhook_dispatcher.cpp has the thread and the endpoints,
// webhook_reading.cpp what is read for it.
namespace contactd::infra {
namespace {

using domain::OrganizationId;
using domain::Webhook;
using domain::WebhookId;
using projections::HistoryEntry;
using Steady = std::chrono::steady_clock;

constexpr std::chrono::seconds progress_interval{1};
constexpr int status_gone = 410;

std::uint64_t random_number() {
  std::uint64_t word = 0;
  fill_random({&word, 1});
  return word;
}

}  // namespace

bool wants(const Webhook& webhook, HistoryEntry::Kind kind) {
  const auto& types = webhook.settings.types;
  return types.empty() ||
         std::find(types.begin(), types.end(), projections::type_of(kind)) != types.end();
}

void WebhookDispatcher::enqueue(Endpoint& endpoint) {
  if (endpoint.queued) return;
  endpoint.queued = true;
  to_pump_.push_back(endpoint.webhook.id);
}

// The delivery goes on without its journal.
void WebhookDispatcher::journal(const WebhookId& id, const WebhookDelivery& delivery) {
  try {
    parts_.journal.put(id, delivery);
  } catch (const Unavailable& problem) {
    spdlog::error("{}", problem.what());
  }
}

void WebhookDispatcher::pump_all() {
  const domain::Instant now = parts_.uptime();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const auto due = endpoints_.find(timers_.begin()->second);
    if (due != endpoints_.end()) enqueue(due->second);
    timers_.erase(timers_.begin());
  }
  go_on_ = false;
  if (stopping_) return;
  // Those that find no room in flight queue up again, behind the others.
  for (std::size_t count = to_pump_.size(); count > 0; --count) {
    const auto found = endpoints_.find(to_pump_.front());
    to_pump_.pop_front();
    if (found == endpoints_.end()) continue;
    Endpoint& endpoint = found->second;
    endpoint.queued = false;
    if (now < endpoint.paused_until) continue;
    // What of one can't be read is not to keep the others waiting.
    try {
      pump(endpoint);
    } catch (const std::exception& problem) {
      spdlog::error("webhook {}: {}; trying again", endpoint.webhook.id, problem.what());
      endpoint.unread = true;
      pause_in_trouble(endpoint);
    }
  }
}

void WebhookDispatcher::pause_in_trouble(Endpoint& endpoint) {
  endpoint.paused_until = {parts_.uptime().unix_ms + settings_.trouble_pause.count()};
  timers_.emplace(endpoint.paused_until, endpoint.webhook.id);
}

void WebhookDispatcher::pump(Endpoint& endpoint) {
  const domain::Instant now = parts_.uptime();
  seek_on(endpoint);
  read_on(endpoint, now);
  while (endpoint.in_flight < settings_.endpoint_in_flight_max) {
    if (!in_flight_.has_room(endpoint.webhook.organization)) return enqueue(endpoint);
    if (!endpoint.by_hand.empty()) {
      send_by_hand(endpoint, now);
      continue;
    }
    const WebhookQueue::Event* event = endpoint.queue.take(now);
    if (event == nullptr) break;
    send_scheduled(endpoint, event->offset);
  }
  const WebhookQueue& queue = endpoint.queue;
  if (queue.seeking() != nullptr || (endpoint.unread && queue.has_room())) {
    go_on_ = true;
    enqueue(endpoint);
  }
  if (const auto due = endpoint.queue.next_due();
      due && endpoint.in_flight < settings_.endpoint_in_flight_max) {
    timers_.emplace(*due, endpoint.webhook.id);
  }
}

void WebhookDispatcher::send_scheduled(Endpoint& endpoint, std::uint64_t offset) {
  try {
    const auto item = read_feed_item(parts_.store, endpoint.webhook.organization, offset);
    if (item) {
      send(endpoint, *item, false);
    } else {
      endpoint.queue.done(offset);
    }
  } catch (...) {
    endpoint.queue.untake(offset);
    throw;
  }
}

void WebhookDispatcher::send(Endpoint& endpoint, const FeedItem& item, bool by_hand) {
  const domain::Instant now = parts_.clock();
  const Webhook& webhook = endpoint.webhook;
  Sent sent{webhook.id, webhook.organization, endpoint.incarnation, {}, now, by_hand};
  if (auto known = journaled(webhook.id, item.place.offset, item.event.event)) {
    if (!by_hand && known->state != WebhookDelivery::State::pending) {
      // By hand, since it was read.
      endpoint.queue.done(item.place.offset);
      endpoint.dirty = true;
      return;
    }
    sent.delivery = *std::move(known);
  } else {
    sent.delivery.offset = item.place.offset;
    sent.delivery.event = item.event.event;
    sent.delivery.type = projections::type_of(item.event.kind);
    sent.delivery.contact = item.place.contact;
    sent.delivery.version = item.place.version;
  }
  if (const auto* queued = endpoint.queue.find(item.place.offset)) {
    sent.delivery.failed = queued->attempts;
    sent.hurried = endpoint.queue.hurried(item.place.offset);
  }
  OutboundMessage message{endpoint.url, {}, {}};
  append_cloud_event(message.body, webhook.organization, item);
  const std::string id = item.event.event.str();
  const std::int64_t timestamp = now.unix_ms / 1'000;
  message.fields = {
      {"webhook-id", id},
      {"webhook-timestamp", std::to_string(timestamp)},
      {"webhook-signature", parts_.secrets.signatures(webhook, id, timestamp, message.body, now)}};
  in_flight_.take(webhook.organization);
  ++endpoint.in_flight;
  parts_.sender.send(std::move(message), [mailbox = mailbox_, sent = std::move(sent)](
                                             const SendResult& result) mutable {
    sent.result = result;
    const std::lock_guard lock{mailbox->mutex};
    mailbox->inbox.sent.push_back(std::move(sent));
    mailbox->filled.notify_one();
  });
}

// What the asker has seen may be news here: that the webhook is enabled, or the partition ours.
WebhookDispatcher::Endpoint* WebhookDispatcher::find_or_add(const ByHand& asked) {
  if (!endpoints_.contains(asked.webhook)) {
    look_at_partitions();
    reload(asked.organization);
  }
  const auto found = endpoints_.find(asked.webhook);
  return found == endpoints_.end() ? nullptr : &found->second;
}

// What somebody asks for has its share of what may be under way, like all else.
void WebhookDispatcher::take_by_hand(ByHand asked) {
  const std::string event = asked.item.event.event.str();
  try {
    if (Endpoint* endpoint = stopping_ ? nullptr : find_or_add(asked)) {
      endpoint->by_hand.push_back(std::move(asked.item));
      return enqueue(*endpoint);
    }
    spdlog::warn("webhook {} isn't served any more: event {} isn't sent again as asked for",
                 asked.webhook, event);
  } catch (const std::exception& problem) {
    spdlog::error("webhook {}: {}; event {} isn't sent again as asked for: ask once more",
                  asked.webhook, problem.what(), event);
    read_again_ = true;
  }
  --by_hand_;
}

// The one that was asked for first. REQUIRES: there is one, and room for it.
void WebhookDispatcher::send_by_hand(Endpoint& endpoint, domain::Instant now) {
  const FeedItem item = std::move(endpoint.by_hand.front());
  endpoint.by_hand.pop_front();
  try {
    const bool waits = endpoint.queue.hurry(item.place.offset, item.place.contact, now);
    if (!waits) return send(endpoint, item, true);
  } catch (const std::exception& problem) {
    spdlog::error("webhook {}: {}; event {} isn't sent again as asked for: ask once more",
                  endpoint.webhook.id, problem.what(), item.event.event.str());
  }
  --by_hand_;
}

void WebhookDispatcher::finish(Sent sent) {
  in_flight_.give_back(sent.organization);
  if (sent.by_hand) --by_hand_;
  const SendResult& result = sent.result;
  parts_.metrics.webhook_deliveries
      .Add({{"outcome", result.delivered()  ? "delivered"
                        : result.status > 0 ? "refused"
                                            : std::string{name_of(result.failure)}}})
      .Increment();
  Endpoint* endpoint = find(sent.webhook, sent.incarnation);
  if (endpoint == nullptr && !exists(sent)) return;
  // As it is by now: another attempt may have been noted meanwhile.
  WebhookDelivery delivery =
      journaled(sent.webhook, sent.delivery.offset, sent.delivery.event).value_or(sent.delivery);
  delivery.attempts.push_back(
      {sent.at, result.status,
       result.status > 0 ? std::string{} : std::string{name_of(result.failure)},
       static_cast<std::uint32_t>(result.took.count()), sent.by_hand || sent.hurried});
  if (result.delivered()) delivery.state = WebhookDelivery::State::delivered;
  // An endpoint that was disabled meanwhile is to find the schedule as this attempt leaves it; one
  // that is served anew by now has found it already.
  const bool anew = endpoint == nullptr && endpoints_.contains(sent.webhook);
  if (sent.by_hand) {
    // Of an event that the schedule has done with, and whose row was dropped since.
    const bool scheduled = endpoint == nullptr ||
                           delivery.offset >= endpoint->queue.next_offset() ||
                           endpoint->queue.waits(delivery.offset, delivery.contact);
    if (delivery.state == WebhookDelivery::State::pending && !scheduled) {
      delivery.state = WebhookDelivery::State::given_up;
    }
  } else if (!anew) {
    // Where the journal can't be written to, the queue alone knows of the last attempts.
    delivery.failed = std::max(delivery.failed, sent.delivery.failed);
    settle(delivery, sent);
  }
  journal(sent.webhook, delivery);
  if (endpoint == nullptr) return;
  --endpoint->in_flight;
  enqueue(*endpoint);
  if (!sent.by_hand) move_on(*endpoint, delivery, sent);
  if (result.status == status_gone) disable(*endpoint);
}

// Whether there is such a webhook, served or not; if not, nobody can ask for its deliveries.
bool WebhookDispatcher::exists(const Sent& sent) const {
  try {
    return parts_.store.webhook(sent.organization, sent.webhook).has_value();
  } catch (const std::exception& problem) {
    spdlog::error("webhooks: {}", problem.what());
    return false;
  }
}

// What a scheduled attempt, or a hurried one, leaves of the schedule.
void WebhookDispatcher::settle(WebhookDelivery& delivery, const Sent& sent) {
  using State = WebhookDelivery::State;
  if (delivery.state != State::pending) return;
  const domain::Instant now = parts_.clock();
  if (sent.result.status == status_gone) {
    delivery.next_attempt = now;  // once it is enabled again
    return;
  }
  if (sent.hurried) return;  // which costs none of the schedule's attempts
  ++delivery.failed;
  const auto delay = webhook_retry_delay(delivery.failed, settings_.retry_scale, random_number());
  if (delay) {
    const auto asked_for = sent.result.retry_after.value_or(std::chrono::milliseconds{0});
    delivery.next_attempt = domain::Instant{now.unix_ms + std::max(*delay, asked_for).count()};
    return;
  }
  delivery.state = State::given_up;
  parts_.metrics.webhook_given_up.Increment();
  spdlog::warn("webhook {}: event {} was given up after {} attempts", sent.webhook,
               delivery.event.str(), delivery.failed);
}

// Moves the queue on by what settle() has made of the delivery.
void WebhookDispatcher::move_on(Endpoint& endpoint, const WebhookDelivery& delivery,
                                const Sent& sent) {
  WebhookQueue& queue = endpoint.queue;
  if (delivery.state != WebhookDelivery::State::pending) {
    queue.done(delivery.offset);
    endpoint.dirty = true;
    seek_soon(endpoint);
  } else if (sent.result.status == status_gone) {
    queue.untake(delivery.offset);
  } else if (sent.hurried) {
    queue.failed_by_hand(delivery.offset);
  } else {
    queue.failed(delivery.offset, due_at(delivery.next_attempt));
  }
}

// It said that it is no more. What it still had to be sent stays pending.
void WebhookDispatcher::disable(Endpoint& endpoint) {
  spdlog::warn("webhook {} answered 410 and is disabled", endpoint.webhook.id);
  parts_.metrics.webhook_disabled.Increment();
  const WebhookId id = endpoint.webhook.id;
  endpoint.dirty = true;
  endpoint.submitted = false;
  write_progress(true);
  if (submit(endpoint, domain::DisableWebhook{id, std::string{domain::webhook_gone}})) {
    disabling_.insert(id);
  } else {
    reload_soon(endpoint.webhook.organization);  // to be told so again
  }
  drop(id);
}

void WebhookDispatcher::write_progress(bool now) {
  const auto at = Steady::now();
  for (auto& [id, endpoint] : endpoints_) {
    if (!endpoint.dirty || endpoint.submitted || (!now && at < endpoint.progress_due)) continue;
    endpoint.progress_due = at + progress_interval;
    domain::WebhookProgressed progress{id, endpoint.queue.next_offset(), endpoint.queue.pending()};
    if (!submit(endpoint, domain::ProgressWebhook{id, std::move(progress)})) continue;
    endpoint.dirty = false;
    endpoint.submitted = true;
    endpoint.passed_over = 0;
  }
}

bool WebhookDispatcher::submit(const Endpoint& endpoint, domain::Command command) {
  const OrganizationId& organization = endpoint.webhook.organization;
  Writer& writer = *(*writers_.load())[partition_of(organization)];
  const std::uint64_t token = next_number_++;
  Submission submission;
  submission.organization = organization;
  submission.command = std::move(command);
  submission.actor = "contactd";
  submission.request_id = new_request_id();
  submission.sink = this;
  submission.token = token;
  const bool disables = std::holds_alternative<domain::DisableWebhook>(submission.command);
  submissions_.emplace(token, Submitted{endpoint.webhook.id, organization, disables});
  if (writer.submit(std::move(submission))) {
    submissions_.erase(token);
    return false;
  }
  writer.wake();
  return true;
}

void WebhookDispatcher::finish_submission(const Reply& reply) {
  const auto submission = submissions_.find(reply.token);
  if (submission == submissions_.end()) return;
  const auto [id, organization, disables] = submission->second;
  submissions_.erase(submission);
  if (disables) disabling_.erase(id);
  const auto* answer = std::get_if<WebhookAnswer>(&reply.outcome.answer);
  const auto found = endpoints_.find(id);
  if (found != endpoints_.end()) {
    found->second.submitted = false;
    if (answer == nullptr) found->second.dirty = true;
  }
  // It was disabled, or is no more; or that is still to be done.
  const bool as_known = answer != nullptr && answer->webhook.settings.enabled;
  if (!as_known || found == endpoints_.end()) reload_soon(organization);
}

}  // namespace contactd::infra
