#pragma once

#include "infra/event_log.hpp"

namespace contactd::test {

// Another log as if more than its writer wrote to it, as to one of Kafka's: what rivals and repeats
// have left in it is passed over.
class SharedLog final : public infra::LogReader {
 public:
  explicit SharedLog(infra::LogReader& log) : log_(log) {}

  std::uint32_t partition_count() const override { return log_.partition_count(); }
  infra::LogSlice read(std::uint32_t partition, std::uint64_t from,
                       std::size_t count_max) override {
    return log_.read(partition, from, count_max);
  }
  bool wait(std::uint32_t partition, std::uint64_t from,
            std::chrono::milliseconds patience) override {
    return log_.wait(partition, from, patience);
  }
  std::uint64_t end_offset(std::uint32_t partition) override { return log_.end_offset(partition); }
  bool has_one_writer() const override { return false; }

 private:
  infra::LogReader& log_;
};

}  // namespace contactd::test
