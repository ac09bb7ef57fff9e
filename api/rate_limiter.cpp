#include "api/rate_limiter.hpp"

namespace contactd::api {

namespace {

constexpr std::chrono::seconds forget_interval{1};

}  // namespace

std::optional<RateLimiter::Verdict> RateLimiter::count(std::string_view client, Time now) {
  const std::lock_guard lock{mutex_};
  auto found = windows_.find(std::string{client});
  if (found == windows_.end()) {
    if (!has_room(now)) return std::nullopt;
    found = windows_.emplace(client, Window{}).first;
  }
  Window& window = found->second;
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

// Called with mutex_ held. To look through all of them takes long: seldom.
bool RateLimiter::has_room(Time now) {
  if (windows_.size() < clients_max_) return true;
  if (now < forget_due_) return false;
  forget_due_ = now + forget_interval;
  std::erase_if(windows_, [&](const auto& entry) { return entry.second.ends <= now; });
  return windows_.size() < clients_max_;
}

}  // namespace contactd::api
