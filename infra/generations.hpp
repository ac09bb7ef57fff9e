#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "infra/generation.hpp"
#include "infra/rocksdb_open.hpp"

namespace contactd::infra {

// One write of a fold.
struct Change {
  enum class Kind : std::uint8_t { put, remove, remove_once, remove_range };
  projections::Table table;
  Kind kind;
  std::string key;    // where a range begins
  std::string value;  // where it ends
};

// What the generations say of a range of keys, copied out of them; beneath it is the disk.
struct Overlay {
  std::vector<std::pair<std::string, Generation::Row>> rows;  // in order
  std::vector<Generation::Range> removed;
  // If that is all of the range, nothing; else a key of it, from which on nothing is said here.
  std::optional<std::string> cut;

  bool hides(std::string_view key) const;
};

// The rows that were folded and are not yet in tables on the disk: the generation that is written
// to, and the one before it while a thread of its own writes that out. All tables of a generation
// get to the disk together, by one ingestion of sorted files; so the checkpoint among them is
// always that of what is beside it. What a crash takes is folded again from the log.
//
// A look-up asks the active generation, the frozen one, then the disk.
//
// Threads: all may be called from any; commits of one partition come one after the other.
class Generations {
 public:
  // Called by the flushing thread with a generation that is on the disk and about to be dropped.
  using OnFlushed = std::function<void(const Generation&)>;

  // REQUIRES: `db` outlives this; nothing else writes to it.
  Generations(const RocksDb& db, OnFlushed on_flushed);
  // Flushes, if that can be.
  ~Generations();
  Generations(const Generations&) = delete;
  Generations& operator=(const Generations&) = delete;

  // Makes all of the changes visible at once. Blocks while the disk is behind by a generation.
  // Throws StoreUnavailable, having done nothing, if generations can't be written out any more.
  void commit(std::vector<Change> changes);

  // What they say of the key, copied; nothing if the disk knows.
  std::optional<Generation::Row> find(projections::Table table, std::string_view key) const;

  // Calls `look` while nothing changes; for what must be of one moment. Keep it short.
  template <class Look>
  auto at_rest(const Look& look) const {
    const std::shared_lock lock{mutex_};
    return look();
  }
  // To be called within at_rest(). An empty `end` is the end of the table. Of a range of which
  // there is more than `count_max`, it says only as much. REQUIRES: `count_max` isn't 0.
  Overlay overlay(projections::Table table, std::string_view begin, std::string_view end,
                  std::size_t count_max = Generation::all) const;
  const Generation::Row* look_up(projections::Table table, std::string_view key) const;
  // Calls `look` with the rows of feed that are in memory of the organization with that prefix, the
  // frozen ones and then the active ones: in order. To be called within at_rest().
  template <class Look>
  void feed_of(std::string_view organization_prefix, const Look& look) const {
    const Generation* frozen = frozen_.get();
    for (const Generation* generation : {frozen, static_cast<const Generation*>(active_.get())}) {
      const auto* rows = generation == nullptr ? nullptr : generation->feed_of(organization_prefix);
      if (rows != nullptr) look(*rows);
    }
  }

  // Returns once all that was committed before is on the disk. Throws StoreUnavailable.
  void flush();

 private:
  void freeze();
  void wait_for_room(std::unique_lock<std::shared_mutex>& lock);
  void write_out(std::stop_token stop);
  void write_one(const Generation& generation);

  // Constant after construction.
  const RocksDb& db_;
  const OnFlushed on_flushed_;

  // Guarded by mutex_. What frozen_ points to is never changed.
  mutable std::shared_mutex mutex_;
  std::condition_variable_any flushed_;   // the frozen one has gone, or failed to
  std::condition_variable_any to_flush_;  // there is a frozen one
  std::unique_ptr<Generation> active_ = std::make_unique<Generation>();
  std::unique_ptr<const Generation> frozen_;
  std::string failure_;  // of the last attempt to write out; empty if it went well

  std::jthread flusher_;  // last: it touches all of the above
};

}  // namespace contactd::infra
