#include "infra/row_cache.hpp"

#include <lz4.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "projections/key_hash.hpp"

namespace contactd::infra {
namespace {

// An entry, its place in the index, and what the allocator adds, come to about this much.
constexpr std::size_t overhead_bytes = 56;
// A shorter row would teach too little; of a longer one, more would take longer to load than it
// saves.
constexpr std::size_t dictionary_bytes_min = 256;
constexpr std::size_t dictionary_bytes_max = 1024;
// The shards don't fill alike: one begins to drop rows while this part of the whole is still free.
constexpr std::size_t free_part_when_full = 16;

}  // namespace

void RowPacker::learn(std::string_view row) {
  if (learned_.load(std::memory_order_acquire) || row.size() < dictionary_bytes_min) return;
  std::call_once(learning_, [&] {
    dictionary_ = row.substr(0, dictionary_bytes_max);
    learned_.store(true, std::memory_order_release);
  });
}

std::string_view RowPacker::dictionary() const {
  return learned_.load(std::memory_order_acquire) ? std::string_view{dictionary_} : "";
}

PackedRow RowPacker::pack(std::string_view key, std::string_view row) {
  learn(row);
  const std::string_view like = dictionary();
  std::string text;
  text.reserve(row.size() + key.size());
  text += row;
  text += key;
  LZ4_stream_t stream;  // loading a dictionary initializes it
  LZ4_loadDict(&stream, like.data(), static_cast<int>(like.size()));
  const int text_bytes = static_cast<int>(text.size());
  std::string packed(static_cast<std::size_t>(LZ4_compressBound(text_bytes)), '\0');
  const int packed_bytes =
      LZ4_compress_fast_continue(&stream, text.data(), packed.data(), text_bytes,
                                 static_cast<int>(packed.size()), /*acceleration=*/1);
  if (packed_bytes <= 0) std::abort();  // LZ4 promises that the bound is enough
  packed.resize(static_cast<std::size_t>(packed_bytes));
  PackedRow made{std::make_unique_for_overwrite<char[]>(packed.size()),
                 static_cast<std::uint32_t>(packed.size()),
                 static_cast<std::uint32_t>(text.size())};
  std::memcpy(made.packed.get(), packed.data(), packed.size());
  return made;
}

std::optional<std::string> RowPacker::unpack(const PackedRow& row, std::string_view key) const {
  const std::string_view like = dictionary();
  std::optional<std::string> text{std::in_place, row.text_bytes, '\0'};
  const int unpacked = LZ4_decompress_safe_usingDict(
      row.packed.get(), text->data(), static_cast<int>(row.packed_bytes),
      static_cast<int>(text->size()), like.data(), static_cast<int>(like.size()));
  if (unpacked != static_cast<int>(text->size())) std::abort();
  if (!text->ends_with(key)) return std::nullopt;
  text->resize(text->size() - key.size());
  return text;
}

RowCache::RowCache(std::size_t bytes_max)
    : bytes_max_(bytes_max), by_hash_(0, Hash{&entries_}, Equal{&entries_}) {}

std::uint64_t RowCache::hash_of(std::string_view key) { return projections::KeyHash{}(key); }

const PackedRow* RowCache::find(std::string_view key) {
  const auto found = by_hash_.find(hash_of(key));
  if (found == by_hash_.end()) return nullptr;
  Entry& entry = entries_[*found];
  entry.used = true;
  return &entry.row;
}

void RowCache::put(std::string_view key, PackedRow row) {
  if (row.packed_bytes + overhead_bytes > bytes_max_) return erase(key);
  Entry& entry = entries_[place_for(hash_of(key))];
  if (entry.row.packed) bytes_ -= size_of(entry);
  entry.row = std::move(row);
  bytes_ += size_of(entry);
  make_room();
}

void RowCache::erase(std::string_view key) {
  if (const auto found = by_hash_.find(hash_of(key)); found != by_hash_.end()) drop(*found);
}

void RowCache::clear() {
  by_hash_.clear();
  entries_.clear();
  free_.clear();
  hand_ = 0;
  bytes_ = 0;
}

std::size_t RowCache::size_of(const Entry& entry) {
  return entry.row.packed_bytes + overhead_bytes;
}

// The entry with that hash, or else a free one that is found by it now.
RowCache::Place RowCache::place_for(std::uint64_t hash) {
  if (const auto found = by_hash_.find(hash); found != by_hash_.end()) return *found;
  if (free_.empty()) {
    entries_.emplace_back();
    free_.reserve(entries_.capacity());
    free_.push_back(static_cast<Place>(entries_.size() - 1));
  }
  const Place place = free_.back();
  entries_[place].hash = hash;
  by_hash_.insert(place);
  free_.pop_back();
  return place;
}

void RowCache::drop(Place place) {
  Entry& entry = entries_[place];
  by_hash_.erase(entry.hash);
  bytes_ -= size_of(entry);
  entry = {};
  free_.push_back(place);
}

void RowCache::make_room() {
  for (; bytes_ > bytes_max_; hand_ = (hand_ + 1) % static_cast<Place>(entries_.size())) {
    Entry& entry = entries_[hand_];
    if (entry.used) {
      entry.used = false;
    } else if (entry.row.packed) {
      drop(hand_);
    }
  }
}

SharedRowCache::SharedRowCache(std::size_t bytes_max)
    : bytes_max_(bytes_max),
      shards_{Shard{bytes_max / shard_count}, Shard{bytes_max / shard_count},
              Shard{bytes_max / shard_count}, Shard{bytes_max / shard_count},
              Shard{bytes_max / shard_count}, Shard{bytes_max / shard_count},
              Shard{bytes_max / shard_count}, Shard{bytes_max / shard_count}} {}

std::optional<std::string> SharedRowCache::find(std::string_view key) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock{shard.mutex};
  const PackedRow* row = shard.rows.find(key);
  return row == nullptr ? std::nullopt : packer_.unpack(*row, key);
}

void SharedRowCache::put(std::string_view key, std::string_view row) {
  PackedRow packed = packer_.pack(key, row);  // takes longer than what the lock is for
  Shard& shard = shard_of(key);
  const std::lock_guard lock{shard.mutex};
  shard.rows.put(key, std::move(packed));
}

void SharedRowCache::erase(std::string_view key) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock{shard.mutex};
  shard.rows.erase(key);
}

void SharedRowCache::clear() {
  for (Shard& shard : shards_) {
    const std::lock_guard lock{shard.mutex};
    shard.rows.clear();
  }
}

bool SharedRowCache::remember(std::uint64_t age, std::string_view key, std::string_view row) {
  Shard& shard = shard_of(key);
  {
    const std::lock_guard lock{shard.mutex};
    if (age != age_) return false;
    if (shard.rows.contains(key)) return true;
  }
  PackedRow packed = packer_.pack(key, row);
  const std::lock_guard lock{shard.mutex};
  // Whoever has replaced rows says so before coming here: either that is seen, or what it puts
  // comes after this.
  if (age != age_) return false;
  shard.rows.put(key, std::move(packed));
  return true;
}

bool SharedRowCache::full() {
  std::size_t bytes = 0;
  for (Shard& shard : shards_) {
    const std::lock_guard lock{shard.mutex};
    bytes += shard.rows.bytes();
  }
  return bytes >= bytes_max_ - bytes_max_ / free_part_when_full;
}

SharedRowCache::Shard& SharedRowCache::shard_of(std::string_view key) {
  return shards_[RowCache::hash_of(key) / (~std::uint64_t{0} / shard_count + 1)];
}

}  // namespace contactd::infra
