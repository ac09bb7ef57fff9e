#pragma once

#include <memory>
#include <optional>

#include "api/lane.hpp"

namespace contactd::api {

// What a feed needs of the connection that it goes out on. On the lane's thread.
class FeedPeer {
 public:
  virtual ~FeedPeer() = default;
  // False if the client doesn't take it within `patience`, or has gone.
  virtual Awaitable<bool> send(std::string bytes, std::chrono::milliseconds patience) = 0;
  virtual Awaitable<Response> read(SlowRead read) = 0;
  // Returns at that time, after wake(), or once the client has gone.
  virtual Awaitable<void> sleep_until(SteadyTime time) = 0;
  virtual void wake() = 0;
  // What is being sent is given up: send() returns false.
  virtual void stop_sending() = 0;
  virtual bool gone() const = 0;
};

// One request for a feed, from its first read to its end. On the lane's thread.
class FeedSession final : public FeedFollower {
 public:
  // `lane` and `peer` outlive this.
  FeedSession(Lane& lane, FeedPeer& peer, Feed feed, ErrorFormat format);
  ~FeedSession() override;
  FeedSession(const FeedSession&) = delete;
  FeedSession& operator=(const FeedSession&) = delete;

  // The answer, or, if it is `streamed`, its head, which stream() is to follow.
  Awaitable<Response> answer();
  // Sends events as they come until the client goes or reads too slowly, the key is revoked, the
  // organization is served elsewhere, or finish().
  Awaitable<void> stream(bool chunked);
  bool streams() const { return feed_.stream; }
  // Whether it may be long until its end: a stream or a long poll.
  bool stays() const { return feed_.stream || feed_.request.wait.count() > 0; }
  // The server drains, or the client has closed its way out: ends a stream and answers who waits,
  // at once.
  void finish();

  void wake() override { peer_.wake(); }
  void end(End why) override;
  const domain::KeyId& key() const override { return feed_.key; }

 private:
  struct Read;

  std::optional<Response> enter();
  void follow();
  Awaitable<Response> start();
  Awaitable<Response> next();
  Awaitable<Response> read_store(bool first);
  Awaitable<Response> wait_for_events();
  Response page() const;
  Response ended_response() const;
  std::string take_events();
  void stop();
  bool over() const { return finishing_ || ended_ || peer_.gone(); }

  Lane& lane_;
  FeedPeer& peer_;
  const Services& services_;
  const Feed feed_;
  const ErrorFormat format_;
  const std::shared_ptr<const FeedReader> reader_;
  FeedBatch batch_;     // what was read last; its position is where to read on
  FeedPosition begin_;  // where the first read began
  bool entered_ = false;
  const FeedTail* tail_ = nullptr;  // null: doesn't follow
  FeedTails::Place place_;
  bool finishing_ = false;
  std::optional<End> ended_;
};

}  // namespace contactd::api
