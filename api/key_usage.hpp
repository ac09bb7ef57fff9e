#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <unordered_map>

#include "domain/ids.hpp"
#include "domain/instant.hpp"

namespace contactd::api {

// When each key was last used, since this process started: what is true of use isn't a fact of the
// log, so it is neither kept over a restart nor shared between instances. To a second.
// Threads: any.
class KeyUsage {
 public:
  void note(const domain::KeyId& key, domain::Instant now) {
    {
      const std::shared_lock lock{mutex_};
      const auto known = last_ms_.find(key);
      if (known != last_ms_.end()) {
        // Seldom stored, so that the lanes don't take the line from each other.
        const std::int64_t last = known->second.load(std::memory_order_relaxed);
        if (now.unix_ms - last >= resolution_ms) {
          known->second.store(now.unix_ms, std::memory_order_relaxed);
        }
        return;
      }
    }
    const std::unique_lock lock{mutex_};
    last_ms_[key].store(now.unix_ms, std::memory_order_relaxed);
  }

  std::optional<domain::Instant> last_use_of(const domain::KeyId& key) const {
    const std::shared_lock lock{mutex_};
    const auto known = last_ms_.find(key);
    if (known == last_ms_.end()) return std::nullopt;
    return domain::Instant{known->second.load(std::memory_order_relaxed)};
  }

 private:
  static constexpr std::int64_t resolution_ms = 1000;

  mutable std::shared_mutex mutex_;
  // Guarded by mutex_. Only keys that exist, so as many as the administrator made.
  std::unordered_map<domain::KeyId, std::atomic<std::int64_t>> last_ms_;
};

}  // namespace contactd::api
