#include "api/slow_reads.hpp"

#include <pthread.h>

#include <algorithm>
#include <utility>

namespace contactd::api {

SlowReads::SlowReads(const Limits& limits) : limits_(limits) {
  for (std::size_t i = 0; i < limits_.threads; ++i) {
    threads_.emplace_back([this] {
      pthread_setname_np(pthread_self(), "slow-read");  // for top, perf and gdb
      work();
    });
  }
}

SlowReads::~SlowReads() { stop(); }

bool SlowReads::submit(std::string_view organization, std::weak_ptr<const void> asker,
                       std::function<void()> read) {
  const std::lock_guard lock{mutex_};
  const auto found = queues_.find(std::string{organization});
  if (stopped_ || is_full(found == queues_.end() ? nullptr : &found->second)) return false;
  auto& entry =
      found == queues_.end() ? *queues_.try_emplace(std::string{organization}).first : *found;
  entry.second.waiting.push_back({std::move(asker), std::move(read)});
  ++waiting_;
  if (entry.second.waiting.size() == 1) line_up(entry);
  return true;
}

bool SlowReads::is_full(std::string_view organization) const {
  const std::lock_guard lock{mutex_};
  const auto found = queues_.find(std::string{organization});
  return is_full(found == queues_.end() ? nullptr : &found->second);
}

// Called with mutex_ held.
bool SlowReads::is_full(const Queue* queue) const {
  return waiting_ >= limits_.waiting_max ||
         (queue != nullptr && queue->waiting.size() >= limits_.waiting_of_one_max);
}

// Called with mutex_ held, for one that isn't in line.
void SlowReads::line_up(Queues::value_type& organization) {
  const Queue& queue = organization.second;
  if (queue.waiting.empty() || queue.running + 1 >= limits_.threads) return;
  turns_.push_back(&organization);
  changed_.notify_one();
}

void SlowReads::work() {
  std::unique_lock lock{mutex_};
  for (;;) {
    changed_.wait(lock, [this] { return stopped_ || !turns_.empty(); });
    if (stopped_) return;
    auto& organization = *turns_.front();
    turns_.pop_front();
    Queue& queue = organization.second;
    Read read = std::move(queue.waiting.front());
    queue.waiting.pop_front();
    --waiting_;
    ++queue.running;
    line_up(organization);
    lock.unlock();
    if (!read.asker.expired()) read.run();
    read = {};  // may be long in going
    lock.lock();
    finish(organization);
  }
}

// Called with mutex_ held.
void SlowReads::finish(Queues::value_type& organization) {
  Queue& queue = organization.second;
  --queue.running;
  if (queue.waiting.empty() && queue.running == 0) {
    queues_.erase(queues_.find(organization.first));
  } else if (std::find(turns_.begin(), turns_.end(), &organization) == turns_.end()) {
    line_up(organization);
  }
}

void SlowReads::stop() {
  {
    std::vector<std::deque<Read>> forgotten;  // goes once the lock has, before the reads that run
    const std::lock_guard lock{mutex_};
    stopped_ = true;
    turns_.clear();
    for (auto& [organization, queue] : queues_) {
      forgotten.push_back(std::exchange(queue.waiting, {}));
    }
    waiting_ = 0;
    changed_.notify_all();
  }
  for (std::jthread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

}  // namespace contactd::api
