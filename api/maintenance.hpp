#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "domain/instant.hpp"

namespace contactd::api {

// Long work on a running server, on a thread of its own that lets requests go first; one piece of
// it at a time. Threads: any, but for stop().
class Maintenance {
 public:
  enum class State { idle, running, done, failed };
  struct Status {
    State state = State::idle;
    std::string name;  // of what is or was made, such as a backup
    std::string unit;  // what `done` and `total` count
    std::uint64_t done = 0;
    std::uint64_t total = 0;  // 0: not known yet
    std::string error;        // a sentence; of one that failed
    std::optional<domain::Instant> started_at;
    std::optional<domain::Instant> ended_at;
  };
  using Progress = std::function<void(std::uint64_t done, std::uint64_t total)>;
  // Returns false if it was stopped. What it throws makes it fail.
  using Work = std::function<bool(const Progress&, const std::stop_token&)>;

  ~Maintenance() { stop(); }

  // False if a piece of work is under way already.
  bool start(std::string name, std::string unit, Work work);
  Status status() const;
  // Stops what is under way, and waits for it. No start() may follow.
  void stop();

 private:
  void run(const Work& work, const std::stop_token& stop);

  // Guarded by mutex_.
  mutable std::mutex mutex_;
  Status status_;
  bool stopped_ = false;
  std::jthread thread_;  // last: it touches the above
};

// {"state":"running","name":...}
std::string to_json(const Maintenance::Status& status);

// What an operator may start. Owned by App.
struct Operations {
  Maintenance backup;
  Maintenance rebuild;
  // Start them; false if one is under way. A backup's name was checked (is_backup_name).
  std::function<bool(const std::string& name)> start_backup;
  std::function<bool()> start_rebuild;
  // Whether there is one of that name.
  std::function<bool(const std::string& name)> has_backup;
};

// 1 to 64 characters of A-Z, a-z, 0-9, _, - and ., the first one a letter or a digit.
bool is_backup_name(const std::string& name);

}  // namespace contactd::api
