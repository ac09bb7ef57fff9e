#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/domain/samples.hpp"
#include "tests/support/event_stream.hpp"

namespace contactd::test {

// Many clients of one organization's event stream, all in one thread. Each goes on after the last
// id that it has seen, whenever its connection ends; some end theirs at random, and a tenth stop to
// read from time to time.
class FeedCrowd {
 public:
  FeedCrowd(std::size_t clients, std::string key, std::uint64_t seed);
  ~FeedCrowd();
  FeedCrowd(const FeedCrowd&) = delete;
  FeedCrowd& operator=(const FeedCrowd&) = delete;

  // Where the server is; 0: nowhere at present.
  void connect_to(std::uint16_t port) { port_ = port; }
  // Lets all come and go, and some stall, until `done` holds; then lets all read on until each has
  // seen `events()` events or the time is over.
  using Condition = std::function<bool()>;
  void run(const Condition& done);
  bool run_to_the_end(std::size_t events, std::chrono::milliseconds limit);

  // Threads: any.
  std::size_t connected() const { return connected_; }

  // The events that each client has seen, in order; each as a hash of its id, which takes less
  // room.
  using Seen = std::vector<std::size_t>;
  static std::size_t hash_of(const std::string& event_id);
  const std::vector<Seen>& seen() const { return seen_; }
  std::size_t reconnects() const { return reconnects_; }
  std::size_t stalls() const { return stalls_; }
  const std::vector<std::string>& complaints() const { return complaints_; }

 private:
  struct Client;

  void step(bool calm);
  void disturb();
  void stall(Client& client, bool stalled);
  void connect(Client& client);
  void handle(Client& client, std::uint32_t events);
  void read(Client& client);
  void take(Client& client);
  void close(Client& client);

  const std::string key_;
  Random random_;
  int epoll_ = -1;
  std::atomic<std::uint16_t> port_{0};
  std::atomic<std::size_t> connected_{0};
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<Seen> seen_;
  std::size_t reconnects_ = 0;
  std::size_t stalls_ = 0;
  std::vector<std::string> complaints_;
};

}  // namespace contactd::test
