#include "infra/rebuild.hpp"

#include <mutex>
#include <numeric>

#include "infra/errors.hpp"
#include "infra/fold_log.hpp"
#include "infra/log.hpp"
#include "infra/projections_dir.hpp"

namespace contactd::infra {
namespace {

namespace fs = std::filesystem;

// What may be left to fold while the live projections wait.
constexpr std::uint64_t last_stretch_records_max = 1024;
// A log that grows as fast as it is folded is never caught up with; so often is it tried.
constexpr int rounds_max = 50;

class Rebuild {
 public:
  Rebuild(LogReader& log, std::span<Writer* const> writers,
          const std::function<void(std::uint64_t, std::uint64_t)>& progress,
          const std::stop_token& stop)
      : log_(log), writers_(writers), progress_(progress), stop_(stop), done_(writers.size()) {}

  // Until little is left; false if stopped. Throws StoreUnavailable if it doesn't come to that.
  bool catch_up(ReadStore& store) {
    std::uint64_t left = 0;
    for (int round = 0; round < rounds_max; ++round) {
      left = 0;
      for (std::uint32_t id = 0; id < done_.size(); ++id) {
        fold_log(
            log_, id, store, log_.end_offset(id), [&](std::uint64_t offset) { tell(id, offset); },
            stop_);
        if (stop_.stop_requested()) return false;
      }
      for (std::uint32_t id = 0; id < done_.size(); ++id) {
        left += log_.end_offset(id) - std::min(log_.end_offset(id), done_[id]);
      }
      if (left <= last_stretch_records_max) return true;
    }
    throw StoreUnavailable("the log grows as fast as it is folded: " + std::to_string(left) +
                           " records are left after " + std::to_string(rounds_max) +
                           " rounds, and the old projections stay; try again when fewer changes "
                           "come");
  }

  // Folds the rest while the writers fold nothing, and puts `store` in the place of the live one,
  // which it gives back.
  std::unique_ptr<ReadStore> take_over(SwappableReadStore& live, std::unique_ptr<ReadStore> store) {
    std::vector<std::unique_lock<std::mutex>> held;
    held.reserve(writers_.size());
    for (Writer* writer : writers_) held.push_back(writer->hold_folding());
    for (std::uint32_t id = 0; id < writers_.size(); ++id) {
      const projections::Checkpoint wanted = live.checkpoint(id);
      fold_log_to(log_, id, *store, wanted.next_offset, [](std::uint64_t) {});
      if (store->checkpoint(id) == wanted) continue;
      throw StoreUnavailable("the rebuilt projections of partition " + std::to_string(id) +
                             " aren't where the live ones are; the old ones are kept. Run "
                             "`contactd verify` on the log");
    }
    return live.swap(std::move(store));
  }

 private:
  void tell(std::uint32_t partition, std::uint64_t offset) {
    done_[partition] = offset;
    std::uint64_t total = 0;
    for (std::uint32_t id = 0; id < done_.size(); ++id) total += log_.end_offset(id);
    progress_(std::accumulate(done_.begin(), done_.end(), std::uint64_t{0}), total);
  }

  LogReader& log_;
  const std::span<Writer* const> writers_;
  const std::function<void(std::uint64_t, std::uint64_t)>& progress_;
  const std::stop_token& stop_;
  std::vector<std::uint64_t> done_;
};

// Once no reader has it any more.
void remove_old(const SwappableReadStore& live, std::unique_ptr<ReadStore> old,
                const fs::path& directory) {
  live.wait_until_left();
  old.reset();
  std::error_code ec;
  fs::remove_all(directory, ec);
  if (ec) spdlog::warn("can't remove {}: {}", directory.string(), ec.message());
}

}  // namespace

bool rebuild_projections(LogReader& log, std::span<Writer* const> writers,
                         SwappableReadStore& store, const fs::path& data_dir,
                         const std::function<void(std::uint64_t, std::uint64_t)>& progress,
                         const std::stop_token& stop) {
  const fs::path old_directory = projections_dir(data_dir);
  const fs::path directory = new_projections_dir(data_dir);
  bool live = false;
  try {
    std::unique_ptr<ReadStore> built = open_read_store(directory);
    Rebuild rebuild{log, writers, progress, stop};
    bool done = rebuild.catch_up(*built);
    if (done) {
      built->flush();  // so that a start right after this has little to fold again
      done = rebuild.catch_up(*built);
    }
    if (!done) {
      built.reset();
      fs::remove_all(directory);
      return false;
    }
    std::unique_ptr<ReadStore> old = rebuild.take_over(store, std::move(built));
    live = true;
    try {
      hold_projections_dir(data_dir, directory);
    } catch (...) {
      store.wait_until_left();  // both directories stay; the next start takes the old one
      store.warm_up();
      throw;
    }
    remove_old(store, std::move(old), old_directory);
    store.warm_up();  // now that there is only one that takes memory
    return true;
  } catch (...) {
    std::error_code ignored;
    if (!live) fs::remove_all(directory, ignored);
    throw;
  }
}

}  // namespace contactd::infra
