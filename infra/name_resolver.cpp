#include "infra/name_resolver.hpp"

#include <pthread.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace contactd::infra {

struct NameResolver::State {
  explicit State(LookUp how) : look_up(std::move(how)) {}

  struct Job {
    std::string host;
    std::chrono::steady_clock::time_point deadline;
    Done done;
  };

  const LookUp look_up;  // constant after construction

  // Guarded by mutex.
  std::mutex mutex;
  std::condition_variable filled;
  std::deque<Job> waiting;
  // Of what is being looked up; here rather than with the thread, so that it goes with the
  // resolver.
  std::map<std::uint64_t, Done> under_way;
  std::uint64_t next_number = 1;
  bool stopped = false;
};

NameResolver::NameResolver(LookUp look_up) : state_(std::make_shared<State>(std::move(look_up))) {
  for (std::size_t i = 0; i < threads; ++i) {
    std::thread{[state = state_] {
      pthread_setname_np(pthread_self(), "webhooks-names");
      work(*state);
    }}.detach();
  }
}

NameResolver::~NameResolver() {
  const std::lock_guard lock{state_->mutex};
  state_->stopped = true;
  state_->waiting.clear();
  state_->under_way.clear();
  state_->filled.notify_all();
}

bool NameResolver::resolve(std::string host, std::chrono::steady_clock::time_point deadline,
                           Done done) {
  const std::lock_guard lock{state_->mutex};
  const auto now = std::chrono::steady_clock::now();
  std::erase_if(state_->waiting, [now](const auto& job) { return job.deadline <= now; });
  if (state_->waiting.size() >= waiting_max) return false;
  state_->waiting.push_back({std::move(host), deadline, std::move(done)});
  state_->filled.notify_one();
  return true;
}

void NameResolver::work(State& state) {
  std::unique_lock lock{state.mutex};
  for (;;) {
    state.filled.wait(lock, [&] { return state.stopped || !state.waiting.empty(); });
    if (state.stopped) return;
    State::Job job = std::move(state.waiting.front());
    state.waiting.pop_front();
    if (job.deadline <= std::chrono::steady_clock::now()) continue;
    const std::uint64_t number = state.next_number++;
    state.under_way.emplace(number, std::move(job.done));
    lock.unlock();
    Addresses addresses = state.look_up(job.host);
    lock.lock();
    if (const auto asked = state.under_way.extract(number)) asked.mapped()(std::move(addresses));
  }
}

NameResolver::Addresses look_up_name(const std::string& host) {
  using boost::asio::ip::tcp;
  boost::asio::io_context io;
  boost::system::error_code ec;
  NameResolver::Addresses addresses;
  for (const auto& entry : tcp::resolver{io}.resolve(host, "", ec)) {
    addresses.push_back(entry.endpoint().address());
  }
  return addresses;
}

}  // namespace contactd::infra
