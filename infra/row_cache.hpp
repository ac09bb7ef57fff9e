#pragma once

#include <absl/container/flat_hash_set.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace contactd::infra {

// Rows by key, at most so many bytes of them. They are alike, and so are kept as what each differs
// in from the first one that came (LZ4 with that as its dictionary): a third of the memory for half
// a microsecond, and a look-up in RocksDB is twenty times dearer. Where there is no more room, one
// goes that wasn't asked for since the last round (the clock algorithm: Corbato, "A Paging
// Experiment with the Multics System").
//
// Of two keys with the same 64-bit hash one is here.
// Threads: one at a time.
class RowCache {
 public:
  explicit RowCache(std::size_t bytes_max);
  RowCache(const RowCache&) = delete;
  RowCache& operator=(const RowCache&) = delete;

  std::optional<std::string> find(std::string_view key);
  bool contains(std::string_view key) const { return by_hash_.contains(hash_of(key)); }
  void put(std::string_view key, std::string_view row);
  void erase(std::string_view key);
  void clear();

  // What they take in memory, about.
  std::size_t bytes() const { return bytes_; }

  static std::uint64_t hash_of(std::string_view key);

 private:
  using Place = std::uint32_t;  // in entries_
  struct Entry {
    std::uint64_t hash = 0;
    std::unique_ptr<char[]> packed;  // the row and then the key; null if the place is free
    std::uint32_t packed_bytes = 0;
    std::uint32_t text_bytes = 0;
    bool used = false;  // since the hand passed
  };
  // By hash: places have the hash of what is there, so that the index needs no copy of it.
  struct Hash {
    using is_transparent = void;
    const std::vector<Entry>* entries;
    std::size_t operator()(std::uint64_t hash) const { return hash; }
    std::size_t operator()(Place place) const { return (*entries)[place].hash; }
  };
  struct Equal {
    using is_transparent = void;
    const std::vector<Entry>* entries;
    bool operator()(Place a, Place b) const { return a == b; }
    bool operator()(std::uint64_t hash, Place b) const { return hash == (*entries)[b].hash; }
    bool operator()(Place a, std::uint64_t hash) const { return hash == (*entries)[a].hash; }
  };

  static std::size_t size_of(const Entry& entry);
  Place place_for(std::uint64_t hash);
  void drop(Place place);
  void make_room();

  const std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::string dictionary_;
  std::vector<Entry> entries_;
  std::vector<Place> free_;
  Place hand_ = 0;
  absl::flat_hash_set<Place, Hash, Equal> by_hash_;
};

// The same for many threads: each key is in one of a few caches, each with a lock of its own.
// Whoever replaces rows calls replacing() and then put() or erase() for each of them, or clear().
class SharedRowCache {
 public:
  explicit SharedRowCache(std::size_t bytes_max);

  std::optional<std::string> find(std::string_view key);

  // Rows are about to be replaced: what was read before isn't to be remembered any more.
  void replacing() { ++age_; }
  void put(std::string_view key, std::string_view row);
  void erase(std::string_view key);
  void clear();

  // For readers, who may have read what was replaced since: remembers the row, unless rows were
  // since age() was asked for; then it returns false. age() comes before anything else is read.
  std::uint64_t age() const { return age_; }
  bool remember(std::uint64_t age, std::string_view key, std::string_view row);

  // Whether hardly another row finds room without one that has to go.
  bool full();

 private:
  struct Shard {
    explicit Shard(std::size_t bytes_max) : rows(bytes_max) {}

    std::mutex mutex;
    RowCache rows;  // guarded by mutex
  };
  static constexpr std::size_t shard_count = 8;

  Shard& shard_of(std::string_view key);

  const std::size_t bytes_max_;
  std::atomic<std::uint64_t> age_ = 0;
  std::array<Shard, shard_count> shards_;
};

}  // namespace contactd::infra
