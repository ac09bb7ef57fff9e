#include "api/rate_limiter.hpp"

#include "api/limits.hpp"

namespace contactd::api {

RateLimiter::Verdict RateLimiter::count(std::string_view address, Time now) {
  const std::lock_guard lock{mutex_};
  if (windows_.size() >= limits::rate_limited_addresses_max) {
    std::erase_if(windows_, [&](const auto& entry) { return entry.second.ends <= now; });
    if (windows_.size() >= limits::rate_limited_addresses_max) return {true, 0, 0};
  }
  Window& window = windows_[std::string{address}];
  if (window.ends <= now) window = {now + window_, 0};
  const auto left = std::chrono::ceil<std::chrono::seconds>(window.ends - now);
  Verdict verdict{false, 0, static_cast<std::uint64_t>(left.count())};
  if (window.requests < requests_max_) {
    ++window.requests;
    verdict.allowed = true;
    verdict.remaining = requests_max_ - window.requests;
  }
  return verdict;
}

}  // namespace contactd::api
