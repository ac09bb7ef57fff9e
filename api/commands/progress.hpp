#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace contactd::api {

// Tells on standard error how far a long work is: as a bar that is drawn over on a terminal, as a
// line every few seconds elsewhere, and as a last line in both cases. What it costs when there is
// nothing to tell is a look at the clock. Threads: one at a time.
class Progress {
 public:
  enum class Show { silent, lines, bar };

  // A bar if standard error is a terminal, else lines; silent if the command prints JSON.
  static Show show_for(bool json);

  // `what` is done to so many `unit`s: "folding", "events". `total` is 0 where it isn't known.
  Progress(Show show, std::string what, std::string unit, std::uint64_t total);

  // A bar that isn't finished stays, and what is told next has a line of its own.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void at(std::uint64_t done);
  // Where it turns out to be more or less.
  void set_total(std::uint64_t total) { total_ = total; }
  // The last line: how many in all, and how many a second.
  void finish(std::uint64_t done);

 private:
  using Clock = std::chrono::steady_clock;

  std::string line(std::uint64_t done, Clock::time_point now) const;

  const Show show_;
  const std::string what_;
  const std::string unit_;
  std::uint64_t total_;
  bool drawn_ = false;
  const Clock::time_point started_ = Clock::now();
  Clock::time_point told_ = started_;
};

}  // namespace contactd::api
