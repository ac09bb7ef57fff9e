#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace contactd::api {

// At most so many requests of one client address in one window; a window begins with the first
// request after the last one ended. Off where `requests_max` is 0.
// Threads: any.
class RateLimiter {
 public:
  using Time = std::chrono::steady_clock::time_point;

  struct Verdict {
    bool allowed = true;
    std::uint64_t remaining = 0;
    std::uint64_t reset_seconds = 0;  // until the window ends, rounded up
  };

  RateLimiter(std::uint64_t requests_max, std::chrono::seconds window)
      : requests_max_(requests_max), window_(window) {}

  bool enabled() const { return requests_max_ > 0; }
  std::uint64_t requests_max() const { return requests_max_; }
  std::chrono::seconds window() const { return window_; }

  // Counts a request. REQUIRES: enabled().
  Verdict count(std::string_view address, Time now);

 private:
  struct Window {
    Time ends;
    std::uint64_t requests = 0;
  };

  const std::uint64_t requests_max_;
  const std::chrono::seconds window_;

  // Guarded by mutex_.
  std::mutex mutex_;
  std::unordered_map<std::string, Window> windows_;
};

}  // namespace contactd::api
