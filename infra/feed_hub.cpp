#include "infra/feed_hub.hpp"

#include <algorithm>
#include <cassert>

namespace contactd::infra {
namespace {

template <class Followers>
auto find_in(Followers& followers, const FeedHub::Follower& wanted) {
  return std::find_if(followers.begin(), followers.end(),
                      [&](const auto& one) { return one.first == &wanted; });
}

}  // namespace

void FeedHub::follow(const domain::OrganizationId& organization, Follower& follower) {
  const std::lock_guard lock{mutex_};
  auto& followers = followers_[organization.str()];
  const auto known = find_in(followers, follower);
  if (known == followers.end()) {
    followers.emplace_back(&follower, 1);
  } else {
    ++known->second;
  }
  ++following_;
}

void FeedHub::unfollow(const domain::OrganizationId& organization, Follower& follower) {
  const std::lock_guard lock{mutex_};
  const auto found = followers_.find(organization.str());
  assert(found != followers_.end());
  const auto known = find_in(found->second, follower);
  assert(known != found->second.end());
  if (--known->second == 0) found->second.erase(known);
  if (found->second.empty()) followers_.erase(found);
  --following_;
}

void FeedHub::tell(std::span<const domain::OrganizationId> organizations) {
  const std::lock_guard lock{mutex_};
  std::unordered_map<Follower*, std::vector<domain::OrganizationId>> told;
  for (const auto& organization : organizations) {
    const auto found = followers_.find(organization.str());
    if (found == followers_.end()) continue;
    for (const auto& [follower, count] : found->second) told[follower].push_back(organization);
  }
  // Under the lock: none of them is unfollowed, and gone, meanwhile.
  for (const auto& [follower, of_follower] : told) follower->grew(of_follower);
}

void FeedHub::watch_webhooks(WebhookWatcher* watcher) {
  const std::lock_guard lock{mutex_};
  webhook_watcher_ = watcher;
}

void FeedHub::tell_webhooks(const std::vector<WebhookChange>& webhooks) {
  const std::lock_guard lock{mutex_};
  if (webhook_watcher_ != nullptr) webhook_watcher_->changed(webhooks);
}

}  // namespace contactd::infra
