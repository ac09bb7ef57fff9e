#include "infra/webhook_dispatcher.hpp"

#include <pthread.h>

#include <algorithm>

#include "infra/errors.hpp"
#include "infra/log.hpp"

namespace contactd::infra {
namespace {

using domain::OrganizationId;
using domain::Webhook;
using domain::WebhookId;
using Steady = std::chrono::steady_clock;

constexpr std::chrono::milliseconds look_interval{200};  // at which partitions are ours
constexpr std::chrono::seconds tell_interval{1};
constexpr std::size_t by_hand_max = 64;  // that wait or are under way

// Whether its partition's webhooks are served: how far they are can be written.
bool takes_commands(const Writer& writer) {
  return writer.ownership() == Ownership::ours &&
         writer.status().state == Writer::Status::State::serving;
}

}  // namespace

std::optional<std::chrono::milliseconds> webhook_retry_delay(unsigned failed, double scale,
                                                             std::uint64_t random) {
  if (failed == 0 || failed > std::size(webhook_retry_delays)) return std::nullopt;
  const std::chrono::milliseconds plain = webhook_retry_delays[failed - 1];
  constexpr std::uint64_t steps = 1'000;
  const double jitter = 1 + 0.1 * static_cast<double>(random % (steps + 1)) / steps;
  return std::chrono::milliseconds{
      static_cast<std::int64_t>(static_cast<double>(plain.count()) * scale * jitter)};
}

domain::Instant uptime() {
  using namespace std::chrono;
  return {duration_cast<milliseconds>(Steady::now().time_since_epoch()).count()};
}

WebhookDispatcher::WebhookDispatcher(const Settings& settings, const Parts& parts)
    : settings_(settings), parts_(parts) {}

WebhookDispatcher::~WebhookDispatcher() { stop(); }

void WebhookDispatcher::start(const std::vector<std::unique_ptr<Writer>>& writers) {
  served_.assign(writers.size(), false);
  writers_ = &writers;
  parts_.hub.watch_webhooks(this);
  thread_ = std::jthread{[this](std::stop_token stop) {
    pthread_setname_np(pthread_self(), "webhooks");
    run(std::move(stop));
  }};
}

void WebhookDispatcher::stop() {
  if (!thread_.joinable()) return;
  parts_.hub.watch_webhooks(nullptr);
  thread_.request_stop();
  thread_.join();
}

void WebhookDispatcher::changed(const std::vector<FeedHub::WebhookChange>& webhooks) {
  const std::lock_guard lock{mailbox_->mutex};
  for (const FeedHub::WebhookChange& webhook : webhooks) {
    if (webhook.deleted) {
      mailbox_->inbox.deleted.push_back(webhook.webhook);
    } else {
      mailbox_->inbox.changed.insert(webhook.organization);
    }
  }
  mailbox_->filled.notify_one();
}

void WebhookDispatcher::reload_soon(const OrganizationId& organization) {
  const std::lock_guard lock{mailbox_->mutex};
  mailbox_->inbox.changed.insert(organization);
  mailbox_->filled.notify_one();
}

WebhookDispatcher::Replay WebhookDispatcher::replay(const Webhook& webhook, FeedItem item) {
  const auto* writers = writers_.load();
  if (writers == nullptr) return Replay::not_now;
  const auto count = static_cast<std::uint32_t>(writers->size());
  const auto partition = domain::partition_of(webhook.organization, count);
  if (!takes_commands(*(*writers)[partition])) return Replay::not_now;
  if (by_hand_.load() >= by_hand_max) return Replay::too_many;
  ++by_hand_;
  const std::lock_guard lock{mailbox_->mutex};
  mailbox_->inbox.by_hand.push_back({webhook.id, webhook.organization, std::move(item)});
  mailbox_->filled.notify_one();
  return Replay::accepted;
}

void WebhookDispatcher::deliver(std::vector<Reply> replies) {
  const std::lock_guard lock{mailbox_->mutex};
  for (Reply& reply : replies) mailbox_->inbox.replies.push_back(std::move(reply));
  mailbox_->filled.notify_one();
}

void WebhookDispatcher::grew(const std::vector<OrganizationId>& organizations) {
  const std::lock_guard lock{mailbox_->mutex};
  mailbox_->inbox.grew.insert(organizations.begin(), organizations.end());
  mailbox_->filled.notify_one();
}

void WebhookDispatcher::run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    Inbox inbox = wait(stop, next_wake());
    try {
      work(std::move(inbox));
    } catch (const std::exception& problem) {
      // The database is away, or damaged: what was read stays, the rest is tried again.
      spdlog::error("webhooks: {}; trying again", problem.what());
      look_due_ = Steady::now() + settings_.trouble_pause;
      read_again_ = true;
      for (auto& [id, endpoint] : endpoints_) {
        endpoint.unread = true;
        enqueue(endpoint);
      }
    }
  }
  drain();
}

void WebhookDispatcher::work(Inbox inbox) {
  // First of all, since nothing tells of these a second time.
  for (Sent& sent : inbox.sent) finish(std::move(sent));
  for (const Reply& reply : inbox.replies) finish_submission(reply);
  for (ByHand& asked : inbox.by_hand) take_by_hand(std::move(asked));
  if (Steady::now() >= look_due_) {
    look_due_ = Steady::now() + look_interval;
    look_at_partitions();
    write_progress(false);
    tell_state();
  }
  for (const WebhookId& id : inbox.deleted) forget(id);
  for (const OrganizationId& organization : inbox.changed) reload(organization);
  for (const OrganizationId& organization : inbox.grew) {
    const auto known = of_organization_.find(organization);
    if (known == of_organization_.end()) continue;
    for (const WebhookId& id : known->second) {
      Endpoint& endpoint = endpoints_.at(id);
      endpoint.unread = true;
      enqueue(endpoint);
    }
  }
  pump_all();
  if (stopping_) write_progress(true);
}

WebhookDispatcher::Inbox WebhookDispatcher::wait(std::stop_token stop, Steady::time_point until) {
  std::unique_lock lock{mailbox_->mutex};
  mailbox_->filled.wait_until(lock, stop, until, [this] { return !mailbox_->inbox.empty(); });
  return std::exchange(mailbox_->inbox, {});
}

Steady::time_point WebhookDispatcher::next_wake() const {
  if (go_on_) return Steady::now();
  auto wake = look_due_;
  if (!timers_.empty()) {
    const auto left = timers_.begin()->first.unix_ms - parts_.uptime().unix_ms;
    wake =
        std::min(wake, Steady::now() + std::chrono::milliseconds{std::max<std::int64_t>(left, 0)});
  }
  return wake;
}

// Nothing new is sent. What was under way may end; then it is written down how far all are.
void WebhookDispatcher::drain() {
  stopping_ = true;
  const auto work_until = [this](Steady::time_point deadline, const auto& done) {
    try {
      while (!done() && Steady::now() < deadline) work(wait({}, deadline));
    } catch (const std::exception& problem) {
      spdlog::error("webhooks: {}", problem.what());
    }
  };
  work_until(Steady::now() + settings_.drain_max, [this] { return in_flight_.all_given_back(); });
  work_until(Steady::now() + settings_.drain_max, [this] {
    write_progress(true);
    return submissions_.empty();
  });
  while (!endpoints_.empty()) drop(WebhookId{endpoints_.begin()->first});
}

void WebhookDispatcher::look_at_partitions() {
  const bool read_again = std::exchange(read_again_, false);
  for (std::size_t partition = 0; partition < served_.size(); ++partition) {
    const bool ours = takes_commands(*(*writers_.load())[partition]);
    const bool changed = ours != served_[partition];
    served_[partition] = ours;
    if (ours && (changed || read_again)) {
      read_table(partition);
    } else if (changed) {
      for (const WebhookId& id : endpoints_of(partition)) drop(id);
    }
  }
}

std::size_t WebhookDispatcher::partition_of(const OrganizationId& organization) const {
  return domain::partition_of(organization, static_cast<std::uint32_t>(served_.size()));
}

std::set<WebhookId> WebhookDispatcher::endpoints_of(std::size_t partition) const {
  std::set<WebhookId> all;
  for (const auto& [id, endpoint] : endpoints_) {
    if (partition_of(endpoint.webhook.organization) == partition) all.insert(id);
  }
  return all;
}

void WebhookDispatcher::read_table(std::size_t partition) {
  std::set<WebhookId> gone = endpoints_of(partition);
  for (const Webhook& webhook : parts_.store.webhooks(std::nullopt)) {
    if (partition_of(webhook.organization) != partition) continue;
    gone.erase(webhook.id);
    update(webhook);
  }
  for (const WebhookId& id : gone) forget(id);
}

bool WebhookDispatcher::serves(const OrganizationId& organization) const {
  return served_[partition_of(organization)];
}

void WebhookDispatcher::reload(const OrganizationId& organization) {
  if (!serves(organization)) return;
  std::set<WebhookId> gone;
  if (const auto known = of_organization_.find(organization); known != of_organization_.end()) {
    gone = known->second;
  }
  for (const Webhook& webhook : parts_.store.webhooks(organization)) {
    gone.erase(webhook.id);
    update(webhook);
  }
  for (const WebhookId& id : gone) forget(id);
}

// It was deleted. It stays known until its rows are gone: what failed is tried again.
void WebhookDispatcher::forget(const WebhookId& id) {
  parts_.journal.remove_all(id);
  drop(id);
}

void WebhookDispatcher::update(const Webhook& webhook) {
  const auto known = endpoints_.find(webhook.id);
  if (known == endpoints_.end()) {
    const bool wanted = webhook.settings.enabled && !disabling_.contains(webhook.id);
    if (wanted && !stopping_) add(webhook);
    return;
  }
  const auto in_the_way = obstacle(webhook);
  if (in_the_way || !webhook.settings.enabled) {
    if (in_the_way) complain(webhook, *in_the_way);
    write_progress(true);
    drop(webhook.id);
    return;
  }
  known->second.webhook = webhook;
  known->second.url = std::get<WebhookUrl>(read_webhook_url(webhook.settings.url, settings_.rules));
}

void WebhookDispatcher::complain(const Webhook& webhook, WebhookObstacle obstacle) {
  if (!complained_of_.insert(webhook.id).second) return;
  spdlog::error("webhook {} isn't served: {}", webhook.id, words_of(obstacle));
}

void WebhookDispatcher::add(const Webhook& webhook) {
  if (const auto in_the_way = obstacle(webhook)) return complain(webhook, *in_the_way);
  complained_of_.erase(webhook.id);
  Endpoint endpoint;
  endpoint.webhook = webhook;
  endpoint.url = std::get<WebhookUrl>(read_webhook_url(webhook.settings.url, settings_.rules));
  endpoint.incarnation = next_number_++;
  endpoint.queue = WebhookQueue{webhook.next_offset};
  // Before it is among the others: its progress would else pass over what couldn't be read.
  restore(endpoint);
  auto& of_organization = of_organization_[webhook.organization];
  if (of_organization.empty()) parts_.hub.follow(webhook.organization, *this);
  of_organization.insert(webhook.id);
  enqueue(endpoints_.emplace(webhook.id, std::move(endpoint)).first->second);
}

void WebhookDispatcher::drop(const WebhookId& id) {
  const auto endpoint = endpoints_.find(id);
  if (endpoint == endpoints_.end()) return;
  const OrganizationId organization = endpoint->second.webhook.organization;
  if (const std::size_t asked_for = endpoint->second.by_hand.size(); asked_for > 0) {
    spdlog::warn("webhook {}: {} events aren't sent again as asked for", id, asked_for);
    by_hand_ -= asked_for;
  }
  endpoints_.erase(endpoint);
  const auto known = of_organization_.find(organization);
  known->second.erase(id);
  if (!known->second.empty()) return;
  of_organization_.erase(known);
  parts_.hub.unfollow(organization, *this);
}

WebhookDispatcher::Endpoint* WebhookDispatcher::find(const WebhookId& id,
                                                     std::uint64_t incarnation) {
  const auto found = endpoints_.find(id);
  if (found == endpoints_.end() || found->second.incarnation != incarnation) return nullptr;
  return &found->second;
}

void WebhookDispatcher::tell_state() {
  if (Steady::now() < tell_due_) return;
  tell_due_ = Steady::now() + tell_interval;
  const domain::Instant now = parts_.clock();
  std::int64_t lag_ms = 0;
  std::size_t pending = 0;
  for (const auto& [id, endpoint] : endpoints_) {
    pending += endpoint.queue.size();
    if (const auto oldest = endpoint.queue.oldest()) {
      lag_ms = std::max(lag_ms, now.unix_ms - oldest->unix_ms);
    }
  }
  parts_.metrics.webhook_endpoints.Set(static_cast<double>(endpoints_.size()));
  parts_.metrics.webhook_pending.Set(static_cast<double>(pending));
  parts_.metrics.webhook_lag_seconds.Set(static_cast<double>(lag_ms) / 1'000);
}

}  // namespace contactd::infra
