#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <unordered_map>

#include "domain/ids.hpp"

namespace contactd::api {

// Counts who follows a feed, streams and long polls alike, so that none takes all there is.
// Threads: any.
class FeedFollowers {
 public:
  FeedFollowers(std::size_t of_key_max, std::size_t in_all_max)
      : of_key_max_(of_key_max), in_all_max_(in_all_max) {}

  enum class Verdict { welcome, too_many_of_key, too_many_in_all };
  // Counted if welcome; leave() must follow.
  Verdict enter(const domain::KeyId& key);
  void leave(const domain::KeyId& key);

 private:
  const std::size_t of_key_max_;
  const std::size_t in_all_max_;

  // Guarded by mutex_.
  std::mutex mutex_;
  std::size_t in_all_ = 0;
  std::unordered_map<domain::KeyId, std::size_t> of_key_;
};

}  // namespace contactd::api
