#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "infra/event_log.hpp"

namespace contactd::infra {

// Reads a partition of a long log ahead of the one who folds it, on a thread of its own, so that
// records are read and decoded while those before them are folded. It ends by itself where the log
// ends, or shows nothing more for a while; who follows the log from there reads it himself.
// Threads: one takes. While this lives, nobody else reads the partition or waits for it.
class ReadAhead {
 public:
  // Begins at offset `from`. REQUIRES: `log` outlives this.
  ReadAhead(LogReader& log, std::uint32_t partition, std::uint64_t from);
  // Blocks no longer than the log's read(), or half a second.
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // The next slice, which isn't empty; nothing once all that the log showed has been taken. Blocks
  // until there is one. Throws what the log threw, once what was read before that has been taken.
  std::optional<LogSlice> take();
  // A slice that is done with: to destroy it takes as long as a good part of a fold.
  void give_back(LogSlice slice);

 private:
  void read(std::stop_token stop, std::uint64_t from);
  // Whether there is a record at or after `from`.
  bool wait_for_more(const std::stop_token& stop, std::uint64_t from);
  // False if told to stop.
  bool push(std::stop_token stop, LogSlice slice);

  // Constant after construction.
  LogReader& log_;
  const std::uint32_t partition_;

  // Guarded by mutex_.
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<LogSlice> slices_;
  std::vector<LogSlice> done_;
  std::exception_ptr failure_;
  bool ended_ = false;

  std::jthread thread_;  // last: it touches all of the above
};

}  // namespace contactd::infra
