#pragma once

#include <spdlog/spdlog.h>

#include <chrono>
#include <string>
#include <string_view>

namespace contactd::infra {

// Log lines go to standard error, as text or as one JSON object a line. No line holds contact data
// or a key: what is logged of a request is its method, route, status, times and ids.
// REQUIRES: `level` is one of trace, debug, info, warn, error; `format` is plain or json.
void configure_log(const std::string& level, const std::string& format);

// Of what is tried again and again, whether a failure is to be logged: one that differs from the
// last by more than numbers, or that was last logged a while ago. Threads: one.
class RepeatedFailure {
 public:
  bool is_news(std::string_view message);
  // It went well: the next failure is news.
  void end() { last_.clear(); }

 private:
  std::string last_;
  std::chrono::steady_clock::time_point logged_;
};

// A message of RocksDB's without the keys that it shows in hex: they have emails in them.
std::string without_keys(std::string message);

}  // namespace contactd::infra
