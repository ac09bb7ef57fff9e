#include "api/feed_tails.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>

#include "api/limits.hpp"
#include "infra/log.hpp"

namespace contactd::api {

FeedTail::FeedTail(const Services& services, const domain::OrganizationId& organization)
    : reader_(services, organization), base_(reader_.end()) {}

void FeedTail::refresh() {
  infra::FeedQuery query;
  query.count = query.looked_at_max = limits::feed_tail_events_max;
  query.bytes_max = limits::feed_tail_bytes_max;
  const FeedPosition last = events_.empty() ? base_ : events_.back()->position;
  FeedBatch batch = reader_.read(last, query);
  if (batch.more) {
    // More at once than is worth keeping: everybody reads it from the store.
    base_ = reader_.end();
    events_.clear();
    bytes_ = seen_by_trim_ = 0;
    return;
  }
  for (FeedEventPtr& event : batch.events) {
    bytes_ += event->json.size();
    events_.push_back(std::move(event));
  }
  while (events_.size() > limits::feed_tail_events_max || bytes_ > limits::feed_tail_bytes_max) {
    forget_first();
  }
}

FeedBatch FeedTail::after(const FeedPosition& after, const infra::FeedQuery& query,
                          std::size_t bytes_max) const {
  FeedBatch batch{{}, after, false};
  auto at = std::upper_bound(
      events_.begin(), events_.end(), after.offset,
      [](std::uint64_t offset, const auto& event) { return offset < event->position.offset; });
  std::size_t bytes = 0;
  for (; at != events_.end(); ++at) {
    if (batch.events.size() == query.count || bytes >= bytes_max) {
      batch.more = true;
      return batch;
    }
    batch.position = (*at)->position;
    if (!query.passes((*at)->kind, (*at)->contact)) continue;
    bytes += (*at)->json.size();
    batch.events.push_back(*at);
  }
  return batch;
}

void FeedTail::forget_first() {
  base_ = events_.front()->position;
  bytes_ -= events_.front()->json.size();
  events_.pop_front();
  seen_by_trim_ -= std::min<std::size_t>(seen_by_trim_, 1);
}

void FeedTail::trim() {
  while (seen_by_trim_ > 0) forget_first();
  seen_by_trim_ = events_.size();
}

std::pair<const FeedTail*, FeedTails::Place> FeedTails::follow(
    const domain::OrganizationId& organization, FeedFollower& follower) {
  // First the hub, then the reading: what comes between the two is told and found in the store.
  services_.feed_hub.follow(organization, *this);
  try {
    auto& feed = feeds_[organization.str()];
    if (feed == nullptr) feed = std::make_unique<Followed>(services_, organization);
    // At the back: a round that is under way comes to it, too.
    return {&feed->tail, feed->followers.insert(feed->followers.end(), &follower)};
  } catch (...) {
    feeds_.erase(organization.str());
    services_.feed_hub.unfollow(organization, *this);
    throw;
  }
}

void FeedTails::unfollow(const FeedTail& tail, Place place) {
  const domain::OrganizationId organization = tail.reader().organization();
  Followed& feed = *feeds_.at(organization.str());
  if (feed.next == place) ++feed.next;
  feed.followers.erase(place);
  if (feed.followers.empty()) feeds_.erase(organization.str());
  services_.feed_hub.unfollow(organization, *this);
}

FeedTails::Followed* FeedTails::find(const domain::OrganizationId& organization) {
  const auto found = feeds_.find(organization.str());
  return found == feeds_.end() ? nullptr : found->second.get();
}

void FeedTails::grew(const std::vector<domain::OrganizationId>& organizations) {
  asio::post(io_, [this, organizations] {
    for (const auto& organization : organizations) {
      Followed* feed = find(organization);
      if (feed == nullptr) continue;
      feed->grown = true;
      plan_round(*feed);
    }
  });
}

// A round costs each follower's write. Its organization's next one has to wait so long that what
// else the lane has to do, changes above all, keeps most of the lane's time.
void FeedTails::plan_round(Followed& feed) {
  if (feed.waiting || feed.next != feed.followers.end()) return;
  if (std::chrono::steady_clock::now() >= feed.next_round) return start_round(feed);
  feed.waiting = true;
  if (feed.timer == nullptr) feed.timer = std::make_unique<Timer>(io_);
  feed.timer->expires_at(feed.next_round);
  feed.timer->async_wait([this, organization = feed.tail.reader().organization()](auto failed) {
    Followed* there = failed ? nullptr : find(organization);
    if (there == nullptr || !there->waiting) return;
    there->waiting = false;
    if (there->next == there->followers.end()) start_round(*there);
  });
}

void FeedTails::start_round(Followed& feed) {
  feed.grown = false;
  try {
    feed.tail.refresh();
  } catch (const std::exception& problem) {
    spdlog::error("a feed can't be read: {}; trying again", problem.what());
    feed.grown = true;  // the next sweep plans another round
    return;
  }
  feed.next = feed.followers.begin();
  wake_some(feed.tail.reader().organization());
}

// A slice of a round: between two of them the lane does what else has come.
void FeedTails::wake_some(const domain::OrganizationId& organization) {
  Followed* feed = find(organization);
  if (feed == nullptr) return;
  for (std::size_t i = 0; i < limits::feed_slice && feed->next != feed->followers.end(); ++i) {
    (*feed->next++)->wake();
  }
  if (feed->next != feed->followers.end()) {
    asio::post(io_, [this, organization] { wake_some(organization); });
    return;
  }
  feed->next_round =
      std::chrono::steady_clock::now() + limits::feed_pause_per_follower * feed->followers.size();
  if (feed->grown) plan_round(*feed);
}

void FeedTails::sweep() {
  try {
    for (const auto& [name, feed] : feeds_) sweep(*feed);
  } catch (const std::exception& problem) {
    spdlog::error("who follows a feed can't be checked: {}; trying again", problem.what());
  }
}

void FeedTails::sweep(Followed& feed) {
  feed.tail.trim();
  const auto& organization = feed.tail.reader().organization();
  const bool elsewhere =
      !services_.read_only &&
      services_.partitions.writer_of(organization).ownership() == infra::Ownership::elsewhere;
  for (FeedFollower* follower : feed.followers) {
    if (elsewhere) {
      follower->end(FeedFollower::End::served_elsewhere);
    } else if (!services_.authenticator.holds(follower->key())) {
      follower->end(FeedFollower::End::key_is_gone);
    }
  }
  if (feed.grown) plan_round(feed);
}

}  // namespace contactd::api
