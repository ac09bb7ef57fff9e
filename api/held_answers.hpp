#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "api/http_message.hpp"
#include "api/problem.hpp"

namespace contactd::api {

// Counts the bytes of long answers from when they are made until their clients have taken them, so
// that clients that ask and don't read can't fill the memory. Each organization has a share; that
// of what is nobody's has an empty name.
// Threads: any. It must outlive the responses that it admits.
class HeldAnswers {
 public:
  struct Limits {
    std::size_t of_one_max = 0;  // bytes, as are the others
    std::size_t in_all_max = 0;
    std::size_t uncounted_max = 0;  // an answer up to this size may always be held
  };
  explicit HeldAnswers(const Limits& limits) : limits_(limits) {}

  // The bytes are counted while a copy of it is there.
  using Hold = std::shared_ptr<const void>;
  // The response, with its hold; or, if there is no room for it, a 503.
  Response admit(Response response, const std::string& organization, ErrorFormat format);

 private:
  struct Held;

  bool take(const std::string& organization, std::size_t bytes);
  void let_go(const std::string& organization, std::size_t bytes);

  const Limits limits_;

  // Guarded by mutex_.
  std::mutex mutex_;
  std::size_t in_all_ = 0;
  std::unordered_map<std::string, std::size_t> of_one_;  // of those that hold something
};

}  // namespace contactd::api
