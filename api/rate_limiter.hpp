#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "api/limits.hpp"

namespace contactd::api {

// At most so many requests of one client in one window; a window begins with the first request
// after the last one ended. Off where `requests_max` is 0. Past `clients_max` clients it lets in,
// uncounted, those that it doesn't know; those that it knows it goes on counting.
// Threads: any.
class RateLimiter {
 public:
  using Time = std::chrono::steady_clock::time_point;

  struct Verdict {
    bool allowed = true;
    std::uint64_t remaining = 0;
    std::uint64_t reset_seconds = 0;  // until the window ends, rounded up
  };

  RateLimiter(std::uint64_t requests_max, std::chrono::seconds window,
              std::size_t clients_max = limits::rate_limited_clients_max)
      : requests_max_(requests_max), window_(window), clients_max_(clients_max) {}

  bool enabled() const { return requests_max_ > 0; }
  std::uint64_t requests_max() const { return requests_max_; }
  std::chrono::seconds window() const { return window_; }

  // Counts a request; nothing where it isn't counted, and hence let in. REQUIRES: enabled().
  std::optional<Verdict> count(std::string_view client, Time now);

 private:
  struct Window {
    Time ends;
    std::uint64_t requests = 0;
  };

  bool has_room(Time now);

  const std::uint64_t requests_max_;
  const std::chrono::seconds window_;
  const std::size_t clients_max_;

  // Guarded by mutex_.
  std::mutex mutex_;
  std::unordered_map<std::string, Window> windows_;
  Time forget_due_;  // before it those whose window is over aren't looked for
};

}  // namespace contactd::api
