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

// A row and its key, as RowPacker makes them.
struct PackedRow {
  std::unique_ptr<char[]> packed;
  std::uint32_t packed_bytes = 0;
  std::uint32_t text_bytes = 0;  // of the row and the key
};

// Keeps a row as what it differs in from another one, the first that came (LZ4 with that as its
// dictionary): a third of the memory where rows are alike, for two microseconds to pack and half of
// one to unpack. Threads: any.
class RowPacker {
 public:
  PackedRow pack(std::string_view key, std::string_view row);
  // Nothing if the row is another key's.
  std::optional<std::string> unpack(const PackedRow& row, std::string_view key) const;

 private:
  // What was packed before there was one is unpacked with it just as well.
  std::string_view dictionary() const;
  void learn(std::string_view row);

  std::once_flag learning_;
  std::atomic<bool> learned_ = false;
  std::string dictionary_;  // constant once learned_
};

// Packed rows by key, at most so many bytes of them. Where there is no more room, one goes that
// wasn't asked for since the last round (the clock algorithm: Corbato, "A Paging Experiment with
// the Multics System"). Of two keys with the same 64-bit hash one is here.
// Threads: one at a time.
class RowCache {
 public:
  explicit RowCache(std::size_t bytes_max);
  RowCache(const RowCache&) = delete;
  RowCache& operator=(const RowCache&) = delete;

  // Null if there is none; else it may be that of another key with the same hash. The pointer holds
  // until the next put(), erase() or clear().
  const PackedRow* find(std::string_view key);
  bool contains(std::string_view key) const { return by_hash_.contains(hash_of(key)); }
  void put(std::string_view key, PackedRow row);
  void erase(std::string_view key);
  void clear();

  // What they take in memory, about.
  std::size_t bytes() const { return bytes_; }

  static std::uint64_t hash_of(std::string_view key);

 private:
  using Place = std::uint32_t;  // in entries_
  struct Entry {
    std::uint64_t hash = 0;
    PackedRow row;      // its bytes are null if the place is free
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
  std::vector<Entry> entries_;
  std::vector<Place> free_;  // has room for all of them, so that drop() can't fail
  Place hand_ = 0;
  absl::flat_hash_set<Place, Hash, Equal> by_hash_;
};

// Rows of a table, for many threads: each key is in one of a few caches, each with a lock of its
// own. Whoever replaces rows in the table calls replaced() once the new ones can be read there, and
// then put() or erase() for each of them, or clear(). Until that is done, whoever reads must look
// for the new rows elsewhere first.
class SharedRowCache {
 public:
  explicit SharedRowCache(std::size_t bytes_max);

  std::optional<std::string> find(std::string_view key);

  // From now on remember() takes nothing that was read before.
  void replaced() { ++age_; }
  void put(std::string_view key, std::string_view row);
  void erase(std::string_view key);
  void clear();

  // For readers: remembers the row, unless rows were replaced since age() was asked for; then it
  // returns false. age() comes before anything else is read.
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
  RowPacker packer_;
  std::atomic<std::uint64_t> age_ = 0;
  std::array<Shard, shard_count> shards_;
};

}  // namespace contactd::infra
