#pragma once

#include <chrono>
#include <cstdint>

#include "infra/event_log.hpp"

namespace contactd::infra {

// A partition that shows less than it has is waited for, but not for ever: what was committed may
// be on its way; or nobody will ever show it. Threads: one.
class LogPatience {
 public:
  static constexpr std::chrono::milliseconds look_interval{100};
  static constexpr std::chrono::milliseconds wait_max{10'000};

  // To be called as long as it shows nothing at or after `from`, but has that. Whether it does now;
  // waits no longer than look_interval. Throws LogAway once it hasn't for wait_max.
  bool wait(LogReader& log, std::uint32_t partition, std::uint64_t from);

 private:
  std::uint64_t from_ = 0;
  std::chrono::milliseconds waited_{};  // in vain, for that
};

}  // namespace contactd::infra
