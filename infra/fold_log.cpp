#include "infra/fold_log.hpp"

#include <algorithm>
#include <atomic>

#include "infra/errors.hpp"
#include "infra/log_patience.hpp"
#include "infra/metrics.hpp"
#include "infra/projector.hpp"

namespace contactd::infra {
namespace {

// A log without what is at `end` or after it.
class LogBefore final : public LogReader {
 public:
  LogBefore(LogReader& log, std::uint64_t end) : log_(log), end_(end) {}

  std::uint32_t partition_count() const override { return log_.partition_count(); }
  LogSlice read(std::uint32_t partition, std::uint64_t from, std::size_t count_max) override {
    LogSlice slice = log_.read(partition, from, count_max);
    const std::uint64_t end = end_;
    const auto past = std::find_if(slice.entries.begin(), slice.entries.end(),
                                   [end](const LogEntry& entry) { return entry.offset >= end; });
    if (past == slice.entries.end()) return slice;
    shows_more_ = true;
    slice.entries.erase(past, slice.entries.end());
    // Nothing that can be read lies between the last record that is left and `end`.
    slice.next_offset = slice.entries.empty() ? from : slice.entries.back().offset + 1;
    end_ = slice.next_offset;
    return slice;
  }
  bool wait(std::uint32_t partition, std::uint64_t from,
            std::chrono::milliseconds patience) override {
    return log_.wait(partition, from, patience);
  }
  // Whether nothing lies between there and `end`, of which it has shown more.
  bool is_passed(std::uint64_t position) const { return shows_more_ && position >= end_; }
  std::uint64_t end_offset(std::uint32_t partition) override {
    return std::min(end_.load(), log_.end_offset(partition));
  }
  bool has_one_writer() const override { return log_.has_one_writer(); }

 private:
  LogReader& log_;
  // Who reads ahead may find these while another asks.
  std::atomic<std::uint64_t> end_;
  std::atomic<bool> shows_more_ = false;
};

// `at_end` says whether a position is where to stop.
template <class AtEnd>
void fold(LogReader& log, std::uint32_t partition, ReadStore& store, std::uint64_t end,
          const std::function<void(std::uint64_t)>& progress, const std::stop_token& stop,
          const AtEnd& at_end) {
  Metrics unseen;
  Projector projector{partition, log, store, unseen};
  LogPatience patience;
  while (!stop.stop_requested()) {
    // First: to ask the embedded log beside its writer for its end costs as much as many records.
    if (projector.position() < end && projector.fold_far()) {
      progress(projector.position());
      continue;
    }
    if (at_end(projector.position())) break;
    patience.wait(log, partition, projector.position());
  }
  projector.settle();
}

}  // namespace

void fold_log(LogReader& log, std::uint32_t partition, ReadStore& store, std::uint64_t end,
              const std::function<void(std::uint64_t)>& progress, const std::stop_token& stop) {
  LogBefore before{log, end};
  // What follows the last record may be Kafka's own: then the log turns out to end before it.
  fold(before, partition, store, end, progress, stop,
       [&](std::uint64_t position) { return position >= before.end_offset(partition); });
}

void fold_log_to(LogReader& log, std::uint32_t partition, ReadStore& store, std::uint64_t end,
                 const std::function<void(std::uint64_t)>& progress, const std::stop_token& stop) {
  LogBefore before{log, end};
  fold(before, partition, store, end, progress, stop, [&](std::uint64_t position) {
    if (position >= end) return true;
    if (!before.is_passed(position)) return false;
    throw LogUnavailable("partition " + std::to_string(partition) + " has no record right before " +
                         "offset " + std::to_string(end) +
                         ": it isn't the log that was to be folded up to there");
  });
}

}  // namespace contactd::infra
