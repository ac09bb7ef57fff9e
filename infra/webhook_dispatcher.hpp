#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "domain/organization/webhook.hpp"
#include "infra/clock.hpp"
#include "infra/contact_feed.hpp"
#include "infra/feed_hub.hpp"
#include "infra/metrics.hpp"
#include "infra/read_store.hpp"
#include "infra/webhook_budget.hpp"
#include "infra/webhook_client.hpp"
#include "infra/webhook_journal.hpp"
#include "infra/webhook_obstacle.hpp"
#include "infra/webhook_queue.hpp"
#include "infra/webhook_secrets.hpp"
#include "infra/writer.hpp"

namespace contactd::infra {

// How long after each failed attempt the next one is made; after the last, none (Standard Webhooks
// 1.0). Scaled, so that tests needn't wait for days, and lengthened at random by up to a tenth, so
// that what failed together doesn't come again together.
inline constexpr std::chrono::seconds webhook_retry_delays[] = {
    std::chrono::seconds{5}, std::chrono::minutes{5}, std::chrono::minutes{30},
    std::chrono::hours{2},   std::chrono::hours{5},   std::chrono::hours{10},
    std::chrono::hours{14},  std::chrono::hours{20},  std::chrono::hours{24}};
std::optional<std::chrono::milliseconds> webhook_retry_delay(unsigned failed, double scale,
                                                             std::uint64_t random);

// The time since some moment: unlike that of day it never steps.
domain::Instant uptime();

// Whether the webhook is to be sent events of this kind.
bool wants(const domain::Webhook& webhook, projections::HistoryEntry::Kind kind);

// Sends the events of organizations to their webhooks: of those partitions that this process
// writes, in the order of each contact's versions, at least once. How far an endpoint has come is
// an event, written about once a second while something is delivered, and at stop().
//
// Threads: one of its own, which alone touches the endpoints. start() and stop() from one; all
// else from any.
class WebhookDispatcher final : public ReplySink,
                                public FeedHub::Follower,
                                public FeedHub::WebhookWatcher {
 public:
  struct Settings {
    WebhookUrlRules rules;
    double retry_scale = 1;
    std::size_t in_flight_max = 128;  // in all
    std::size_t organization_in_flight_max = 32;
    std::size_t endpoint_in_flight_max = 8;
    std::chrono::milliseconds drain_max{3'000};      // for what is under way at stop(), twice
    std::chrono::milliseconds trouble_pause{1'000};  // after the database couldn't be read
  };
  // What it works with; all must outlive it.
  struct Parts {
    const ReadStore& store;
    FeedHub& hub;
    WebhookJournal& journal;
    const WebhookSecrets& secrets;
    WebhookSender& sender;
    Metrics& metrics;
    Clock clock;                   // what is noted, signed and shown has its time
    Clock uptime = infra::uptime;  // what waits is timed by this
  };

  WebhookDispatcher(const Settings& settings, const Parts& parts);
  ~WebhookDispatcher() override;

  // `writers` are by partition; they must outlive it, and their threads must end before it does.
  void start(const std::vector<std::unique_ptr<Writer>>& writers);
  // Waits for what is under way, writes how far the endpoints are, ends the thread.
  void stop();

  enum class Replay : std::uint8_t {
    accepted,
    too_many,  // such wait, or are under way
    not_now,   // the partition isn't written here at present, hence nothing of it is sent
  };
  // Sends the event to the webhook now, whether or not it was sent before.
  // REQUIRES: the store shows the webhook as enabled, and nothing is an obstacle to it.
  Replay replay(const domain::Webhook& webhook, FeedItem item);
  // What keeps it from serving the webhook, enabled or not.
  std::optional<WebhookObstacle> obstacle(const domain::Webhook& webhook) const {
    return obstacle_to(webhook, settings_.rules, parts_.secrets);
  }

  void deliver(std::vector<Reply> replies) override;
  void grew(const std::vector<domain::OrganizationId>& organizations) override;
  void changed(const std::vector<FeedHub::WebhookChange>& webhooks) override;

 private:
  struct Endpoint {
    domain::Webhook webhook;
    WebhookUrl url;
    std::uint64_t incarnation = 0;  // tells what was sent for an earlier one from this one's
    WebhookQueue queue{0};
    bool queued = false;           // in to_pump_
    bool unread = true;            // the feed may have events after the queue's
    domain::Instant paused_until;  // by uptime, since its events couldn't be read
    std::size_t in_flight = 0;
    std::deque<FeedItem> by_hand;   // asked for; go before the others once there is room
    std::uint64_t passed_over = 0;  // events that no progress tells of yet
    bool dirty = false;             // there is progress to be written
    bool submitted = false;         // and some is being written
    std::chrono::steady_clock::time_point progress_due;
  };
  struct Sent {
    domain::WebhookId webhook;
    domain::OrganizationId organization;
    std::uint64_t incarnation = 0;
    WebhookDelivery delivery;  // before the attempt
    domain::Instant at;
    bool by_hand = false;  // beside the queue
    bool hurried = false;  // by hand, out of the queue
    SendResult result = {};
  };
  struct Submitted {
    domain::WebhookId webhook;
    domain::OrganizationId organization;
    bool disables = false;
  };
  struct ByHand {
    domain::WebhookId webhook;
    domain::OrganizationId organization;
    FeedItem item;
  };
  struct Inbox {
    std::set<domain::OrganizationId> changed;  // have webhooks that are
    std::vector<domain::WebhookId> deleted;
    std::set<domain::OrganizationId> grew;
    std::vector<Sent> sent;
    std::vector<Reply> replies;
    std::vector<ByHand> by_hand;

    bool empty() const {
      return changed.empty() && deleted.empty() && grew.empty() && sent.empty() &&
             replies.empty() && by_hand.empty();
    }
  };
  // Shared with what is under way, which may outlive the dispatcher.
  struct Mailbox {
    std::mutex mutex;
    std::condition_variable_any filled;
    Inbox inbox;  // guarded by mutex
  };

  void run(std::stop_token stop);
  void work(Inbox inbox);
  Inbox wait(std::stop_token stop, std::chrono::steady_clock::time_point until);
  std::chrono::steady_clock::time_point next_wake() const;
  void drain();

  void look_at_partitions();
  std::size_t partition_of(const domain::OrganizationId& organization) const;
  std::set<domain::WebhookId> endpoints_of(std::size_t partition) const;
  void read_table(std::size_t partition);
  bool serves(const domain::OrganizationId& organization) const;
  void reload_soon(const domain::OrganizationId& organization);
  void reload(const domain::OrganizationId& organization);
  void update(const domain::Webhook& webhook);
  void add(const domain::Webhook& webhook);
  void complain(const domain::Webhook& webhook, WebhookObstacle obstacle);
  void restore(Endpoint& endpoint) const;
  void forget(const domain::WebhookId& id);
  void drop(const domain::WebhookId& id);
  Endpoint* find(const domain::WebhookId& id, std::uint64_t incarnation);

  void enqueue(Endpoint& endpoint);
  void pump_all();
  void pump(Endpoint& endpoint);
  void pause_in_trouble(Endpoint& endpoint);
  void send_scheduled(Endpoint& endpoint, std::uint64_t offset);
  void read_on(Endpoint& endpoint, domain::Instant now) const;
  void seek_on(Endpoint& endpoint) const;
  void seek_soon(Endpoint& endpoint) const;
  void send(Endpoint& endpoint, const FeedItem& item, bool by_hand);
  void take_by_hand(ByHand asked);
  void send_by_hand(Endpoint& endpoint, domain::Instant now);
  Endpoint* find_or_add(const ByHand& asked);
  void finish(Sent sent);
  bool exists(const Sent& sent) const;
  void settle(WebhookDelivery& delivery, const Sent& sent);
  void move_on(Endpoint& endpoint, const WebhookDelivery& delivery, const Sent& sent);
  void disable(Endpoint& endpoint);
  void write_progress(bool now);
  bool submit(const Endpoint& endpoint, domain::Command command);
  void finish_submission(const Reply& reply);
  void tell_state();
  std::optional<WebhookDelivery> journaled(const domain::WebhookId& id, std::uint64_t offset,
                                           const domain::EventId& event) const;
  domain::Instant due_at(domain::Instant time) const;
  WebhookQueue::Event queued(const domain::WebhookId& id, const FeedItem& item,
                             domain::Instant due) const;
  void journal(const domain::WebhookId& id, const WebhookDelivery& delivery);

  const Settings settings_;
  const Parts parts_;
  const std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();

  std::atomic<std::size_t> by_hand_{0};  // that wait or are under way
  // By partition; constant once started, null before.
  std::atomic<const std::vector<std::unique_ptr<Writer>>*> writers_{nullptr};

  // Touched by the thread only.
  std::vector<bool> served_;  // by partition
  bool read_again_ = false;   // the table, since changes of it may have been missed
  std::map<domain::WebhookId, Endpoint> endpoints_;
  std::map<domain::OrganizationId, std::set<domain::WebhookId>> of_organization_;
  std::deque<domain::WebhookId> to_pump_;  // that may have something to send
  std::set<std::pair<domain::Instant, domain::WebhookId>> timers_;  // by uptime
  std::map<std::uint64_t, Submitted> submissions_;  // by token; without an outcome yet
  std::set<domain::WebhookId> disabling_;
  std::set<domain::WebhookId> complained_of_;  // that can't be served, and it was said
  std::uint64_t next_number_ = 1;              // of incarnations and submissions
  WebhookBudget in_flight_{settings_.in_flight_max, settings_.organization_in_flight_max};
  bool go_on_ = false;  // some of to_pump_ has more to read
  bool stopping_ = false;
  std::chrono::steady_clock::time_point look_due_;
  std::chrono::steady_clock::time_point tell_due_;

  std::jthread thread_;  // last: it touches all of the above
};

}  // namespace contactd::infra
