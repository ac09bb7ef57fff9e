#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>

#include "infra/event_log.hpp"
#include "projections/checkpoint.hpp"

namespace contactd::infra {

// One partition of a log up to an event, as if the log ended after the record before it. To be read
// once, from its beginning on, without leaving anything out.
// Threads: one at a time; end_offset() from any.
class LogUntil final : public LogReader {
 public:
  // Whether an event that holds is past what is wanted; the first such ends the log.
  using Past = std::function<bool(std::uint64_t offset, const domain::RecordedEvent& event)>;

  LogUntil(LogReader& log, Past past) : log_(log), past_(std::move(past)) {}

  std::uint32_t partition_count() const override { return log_.partition_count(); }
  LogSlice read(std::uint32_t partition, std::uint64_t from, std::size_t count_max) override;
  bool wait(std::uint32_t partition, std::uint64_t from,
            std::chrono::milliseconds patience) override;
  std::uint64_t end_offset(std::uint32_t partition) override {
    const std::uint64_t end = end_;
    return end == not_ended ? log_.end_offset(partition) : end;
  }
  bool has_one_writer() const override { return log_.has_one_writer(); }

 private:
  LogReader& log_;
  const Past past_;
  projections::Checkpoint checkpoint_;  // tells which events hold: others have no say
  // Where, once it has ended. Who reads ahead finds it while another asks.
  static constexpr std::uint64_t not_ended = std::numeric_limits<std::uint64_t>::max();
  std::atomic<std::uint64_t> end_{not_ended};
};

}  // namespace contactd::infra
