#include "infra/read_ahead.hpp"

#include <pthread.h>

#include <chrono>
#include <utility>

namespace contactd::infra {
namespace {

constexpr std::size_t slices_max = 4;
constexpr std::chrono::milliseconds on_its_way_max{500};
// How soon it is seen that the log's end has turned out to be nearer.
constexpr std::chrono::milliseconds end_look_interval{20};

}  // namespace

ReadAhead::ReadAhead(LogReader& log, std::uint32_t partition, std::uint64_t from)
    : log_(log), partition_(partition) {
  thread_ = std::jthread{[this, from](std::stop_token stop) {
    pthread_setname_np(pthread_self(), "read-ahead");  // for top, perf and gdb
    try {
      read(std::move(stop), from);
    } catch (...) {
      const std::lock_guard lock{mutex_};
      failure_ = std::current_exception();
    }
    const std::lock_guard lock{mutex_};
    ended_ = true;
    changed_.notify_all();
  }};
}

ReadAhead::~ReadAhead() = default;

void ReadAhead::read(std::stop_token stop, std::uint64_t from) {
  for (;;) {
    LogSlice slice = log_.read(partition_, from, slice_records_max);
    if (slice.next_offset <= from) {
      if (!wait_for_more(stop, from)) return;
      continue;
    }
    from = slice.next_offset;
    if (!push(stop, std::move(slice))) return;
  }
}

// A log behind a network has more than it shows while that is on its way; or it turns out that what
// is behind the last record is not for us.
bool ReadAhead::wait_for_more(const std::stop_token& stop, std::uint64_t from) {
  for (auto left = on_its_way_max; left.count() > 0; left -= end_look_interval) {
    if (from >= log_.end_offset(partition_) || stop.stop_requested()) return false;
    if (log_.wait(partition_, from, end_look_interval)) return true;
  }
  return false;
}

bool ReadAhead::push(std::stop_token stop, LogSlice slice) {
  std::vector<LogSlice> done;  // destroyed after the lock
  std::unique_lock lock{mutex_};
  if (!changed_.wait(lock, stop, [this] { return slices_.size() < slices_max; })) return false;
  if (stop.stop_requested()) return false;
  slices_.push_back(std::move(slice));
  done.swap(done_);
  changed_.notify_all();
  return true;
}

void ReadAhead::give_back(LogSlice slice) {
  const std::lock_guard lock{mutex_};
  done_.push_back(std::move(slice));
}

std::optional<LogSlice> ReadAhead::take() {
  std::unique_lock lock{mutex_};
  changed_.wait(lock, [this] { return !slices_.empty() || ended_; });
  if (slices_.empty()) {
    if (failure_) std::rethrow_exception(failure_);
    return std::nullopt;
  }
  LogSlice slice = std::move(slices_.front());
  slices_.pop_front();
  changed_.notify_all();
  return slice;
}

}  // namespace contactd::infra
