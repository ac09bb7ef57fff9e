#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "domain/ids.hpp"
#include "domain/organization/webhook_events.hpp"

namespace contactd::infra {

// Tells those who follow an organization's feed that there is something new in it, and who serves
// the webhooks that some have changed.
// Threads: any.
class FeedHub {
 public:
  struct WebhookChange {
    domain::OrganizationId organization;
    domain::WebhookId webhook;
    bool deleted = false;
  };

  class Follower {
   public:
    virtual ~Follower() = default;
    // These organizations, all followed, have new events, which can be read. Called by a
    // partition's threads; must not block, throw, or call the hub.
    virtual void grew(const std::vector<domain::OrganizationId>& organizations) = 0;
  };

  class WebhookWatcher {
   public:
    virtual ~WebhookWatcher() = default;
    // These webhooks were made, changed or deleted, whoever did so; it can be read. As grew().
    virtual void changed(const std::vector<WebhookChange>& webhooks) = 0;
  };

  // Counted: as many unfollow() as follow(). What is folded after follow() has returned is told;
  // so follow first, then read. REQUIRES: the follower lives until its last unfollow().
  void follow(const domain::OrganizationId& organization, Follower& follower);
  void unfollow(const domain::OrganizationId& organization, Follower& follower);

  // Whether anybody follows anything: what a fold looks at where nobody does.
  bool followed() const { return following_.load(std::memory_order_relaxed) > 0; }
  // Events of these organizations were folded and are visible to readers.
  void tell(std::span<const domain::OrganizationId> organizations);

  // Of all organizations; null: nobody from now on.
  void watch_webhooks(WebhookWatcher* watcher);
  void tell_webhooks(const std::vector<WebhookChange>& webhooks);

 private:
  // Goes up before a follower reads and is looked at after a commit; the store's lock is between.
  std::atomic<std::size_t> following_{0};

  // Guarded by mutex_.
  std::mutex mutex_;
  std::unordered_map<std::string, std::vector<std::pair<Follower*, std::size_t>>> followers_;
  WebhookWatcher* webhook_watcher_ = nullptr;
};

}  // namespace contactd::infra
