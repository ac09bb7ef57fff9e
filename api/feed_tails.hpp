#pragma once

#include <deque>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "api/feed_events.hpp"
#include "api/lane_types.hpp"
#include "infra/feed_hub.hpp"

// What a lane has of the feeds that are followed on it.
namespace contactd::api {

// One who follows a feed. Called by the tails, on the lane's thread; none of it must follow or
// unfollow anything at once.
class FeedFollower {
 public:
  virtual ~FeedFollower() = default;
  // The feed may have grown.
  virtual void wake() = 0;
  // May not go on: why.
  enum class End { key_is_gone, served_elsewhere };
  virtual void end(End why) = 0;
  virtual const domain::KeyId& key() const = 0;
};

// The newest events of one feed, read and rendered once for all of the lane who follow it. They are
// kept for moments only: who comes too late for one reads the store.
class FeedTail {
 public:
  FeedTail(const Services& services, const domain::OrganizationId& organization);

  // Reads what is new. Throws as ReadStore does, and has then read nothing.
  void refresh();
  // Whether all that came after `position` is here.
  bool covers(const FeedPosition& position) const { return base_.offset <= position.offset; }
  // REQUIRES: covers(after). At most `query.count` events, of about so many bytes.
  FeedBatch after(const FeedPosition& after, const infra::FeedQuery& query,
                  std::size_t bytes_max) const;
  // Forgets what was here already when this was called the last time.
  void trim();

  const FeedReader& reader() const { return reader_; }

 private:
  void forget_first();

  const FeedReader reader_;
  FeedPosition base_;  // what comes after it, and is known, is in events_
  std::deque<FeedEventPtr> events_;
  std::size_t bytes_ = 0;
  std::size_t seen_by_trim_ = 0;  // how many of events_ were here then
};

// Threads: the lane's, but for grew().
class FeedTails final : public infra::FeedHub::Follower {
 public:
  FeedTails(const Services& services, asio::io_context& io) : services_(services), io_(io) {}

  using Place = std::list<FeedFollower*>::iterator;
  // From here on the follower is woken when there is something new. The tail is there until it
  // unfollows. Throws as ReadStore does.
  std::pair<const FeedTail*, Place> follow(const domain::OrganizationId& organization,
                                           FeedFollower& follower);
  void unfollow(const FeedTail& tail, Place place);

  // To be called every so often: forgets what is old, and ends those whose key was revoked or whose
  // organization another instance serves now.
  void sweep();

  void grew(const std::vector<domain::OrganizationId>& organizations) override;

 private:
  // A feed that is followed: its tail, who follows it, and the round in which they are woken.
  struct Followed {
    Followed(const Services& services, const domain::OrganizationId& organization)
        : tail(services, organization) {}

    FeedTail tail;
    std::list<FeedFollower*> followers;
    Place next = followers.end();  // whom the round wakes next
    bool grown = false;            // something came that no round has told of
    bool waiting = false;          // for the next round's time
    SteadyTime next_round{};
    std::unique_ptr<Timer> timer;
  };

  void sweep(Followed& feed);
  void plan_round(Followed& feed);
  void start_round(Followed& feed);
  void wake_some(const domain::OrganizationId& organization);
  Followed* find(const domain::OrganizationId& organization);

  const Services& services_;
  asio::io_context& io_;
  std::unordered_map<std::string, std::unique_ptr<Followed>> feeds_;  // by organization
};

}  // namespace contactd::api
