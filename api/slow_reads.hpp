#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

namespace contactd::api {

// Reads that may take long, on threads of their own. Organizations take turns, and none has all of
// the threads: one that asks for much waits behind itself, not before the others.
// Threads: all may be called from any.
class SlowReads {
 public:
  struct Limits {
    std::size_t threads = 0;  // two at least
    std::size_t waiting_max = 0;
    std::size_t waiting_of_one_max = 0;
  };
  explicit SlowReads(const Limits& limits);
  ~SlowReads();
  SlowReads(const SlowReads&) = delete;
  SlowReads& operator=(const SlowReads&) = delete;

  // Runs `read` in its turn, unless its asker has gone by then: what `asker` points to has expired.
  // What is nobody's has an empty name, and turns of its own.
  // False, and it never runs, if too many wait already, of all or of that organization, or after
  // stop(). `read` must not throw.
  bool submit(std::string_view organization, std::weak_ptr<const void> asker,
              std::function<void()> read);
  // Whether submit() would refuse another read of the organization's, as it is at this moment.
  bool is_full(std::string_view organization) const;

  // Forgets what waits, and returns once what has begun has ended.
  void stop();

 private:
  struct Read {
    std::weak_ptr<const void> asker;
    std::function<void()> run;
  };
  struct Queue {
    std::deque<Read> waiting;
    std::size_t running = 0;
  };
  using Queues = std::unordered_map<std::string, Queue>;

  void work();
  bool is_full(const Queue* queue) const;
  // An organization that could begin a read takes its place behind the others.
  void line_up(Queues::value_type& organization);
  void finish(Queues::value_type& organization);

  const Limits limits_;

  // Guarded by mutex_.
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Queues queues_;                          // of those that have something waiting or running
  std::deque<Queues::value_type*> turns_;  // each at most once
  std::size_t waiting_ = 0;
  bool stopped_ = false;

  std::vector<std::jthread> threads_;  // last: they touch all of the above
};

}  // namespace contactd::api
