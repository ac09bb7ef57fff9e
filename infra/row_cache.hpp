#pragma once

#include <absl/container/flat_hash_map.h>

#include <array>
#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "projections/key_hash.hpp"

namespace contactd::infra {

// Rows by key, at most so many bytes of them; what was used least recently goes first.
// Threads: one at a time.
class RowCache {
 public:
  explicit RowCache(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // Null if the row isn't here. The pointer holds until the next put() or erase().
  const std::string* find(std::string_view key) {
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return &found->second->row;
  }

  void put(std::string_view key, std::string_view row) {
    if (const auto found = by_key_.find(key); found != by_key_.end()) {
      bytes_ += row.size() - found->second->row.size();
      found->second->row = row;
      entries_.splice(entries_.begin(), entries_, found->second);
    } else {
      entries_.push_front({std::string{key}, std::string{row}});
      by_key_.emplace(entries_.front().key, entries_.begin());
      bytes_ += size_of(entries_.front());
    }
    while (bytes_ > bytes_max_ && !entries_.empty()) drop(std::prev(entries_.end()));
  }

  void erase(std::string_view key) {
    if (const auto found = by_key_.find(key); found != by_key_.end()) drop(found->second);
  }

  std::size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    std::string key;
    std::string row;
  };
  using Entries = std::list<Entry>;

  // The list's node, the map's slot, and what the allocator adds, come to about this much.
  static constexpr std::size_t overhead_bytes = 200;

  static std::size_t size_of(const Entry& entry) {
    return entry.key.size() + entry.row.size() + overhead_bytes;
  }
  void drop(Entries::iterator entry) {
    bytes_ -= size_of(*entry);
    by_key_.erase(entry->key);
    entries_.erase(entry);
  }

  const std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  Entries entries_;  // the most recently used first
  // By views of the entries' keys.
  absl::flat_hash_map<std::string_view, Entries::iterator, projections::KeyHash, std::equal_to<>>
      by_key_;
};

// The same for many threads: each key is in one of a few caches, each with a lock of its own.
class SharedRowCache {
 public:
  explicit SharedRowCache(std::size_t bytes_max)
      : shards_{Shard{bytes_max / shard_count}, Shard{bytes_max / shard_count},
                Shard{bytes_max / shard_count}, Shard{bytes_max / shard_count},
                Shard{bytes_max / shard_count}, Shard{bytes_max / shard_count},
                Shard{bytes_max / shard_count}, Shard{bytes_max / shard_count}} {}

  std::optional<std::string> find(std::string_view key) {
    Shard& shard = shard_of(key);
    const std::lock_guard lock{shard.mutex};
    const std::string* row = shard.rows.find(key);
    if (row == nullptr) return std::nullopt;
    return *row;
  }
  void put(std::string_view key, std::string_view row) {
    Shard& shard = shard_of(key);
    const std::lock_guard lock{shard.mutex};
    shard.rows.put(key, row);
  }
  void erase(std::string_view key) {
    Shard& shard = shard_of(key);
    const std::lock_guard lock{shard.mutex};
    shard.rows.erase(key);
  }

 private:
  struct Shard {
    explicit Shard(std::size_t bytes_max) : rows(bytes_max) {}

    std::mutex mutex;
    RowCache rows;  // guarded by mutex
  };
  static constexpr std::size_t shard_count = 8;

  Shard& shard_of(std::string_view key) {
    return shards_[std::hash<std::string_view>{}(key) % shard_count];
  }

  std::array<Shard, shard_count> shards_;
};

}  // namespace contactd::infra
