#include "api/feed_followers.hpp"

namespace contactd::api {

FeedFollowers::Verdict FeedFollowers::enter(const domain::KeyId& key) {
  const std::lock_guard lock{mutex_};
  if (in_all_ >= in_all_max_) return Verdict::too_many_in_all;
  std::size_t& of_key = of_key_[key];
  if (of_key >= of_key_max_) return Verdict::too_many_of_key;
  ++of_key;
  ++in_all_;
  return Verdict::welcome;
}

void FeedFollowers::leave(const domain::KeyId& key) {
  const std::lock_guard lock{mutex_};
  const auto found = of_key_.find(key);
  if (--found->second == 0) of_key_.erase(found);
  --in_all_;
}

}  // namespace contactd::api
