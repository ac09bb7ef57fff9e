#include "infra/row_cache.hpp"

#include <lz4.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "projections/key_hash.hpp"

namespace contactd::infra {
namespace {

// An entry, its place in the index, and what the allocator adds, come to about this much.
constexpr std::size_t overhead_bytes = 56;
// Of the dictionary: more would take longer to learn than it saves.
constexpr std::size_t dictionary_bytes_max = 1024;

}  // namespace

RowCache::RowCache(std::size_t bytes_max)
    : bytes_max_(bytes_max), by_hash_(0, Hash{&entries_}, Equal{&entries_}) {}

std::uint64_t RowCache::hash_of(std::string_view key) { return projections::KeyHash{}(key); }

std::optional<std::string> RowCache::find(std::string_view key) {
  const auto found = by_hash_.find(hash_of(key));
  if (found == by_hash_.end()) return std::nullopt;
  Entry& entry = entries_[*found];
  std::optional<std::string> text{std::in_place, entry.text_bytes, '\0'};
  const int unpacked = LZ4_decompress_safe_usingDict(
      entry.packed.get(), text->data(), static_cast<int>(entry.packed_bytes),
      static_cast<int>(text->size()), dictionary_.data(), static_cast<int>(dictionary_.size()));
  if (unpacked != static_cast<int>(text->size())) std::abort();
  if (!text->ends_with(key)) return std::nullopt;
  entry.used = true;
  text->resize(text->size() - key.size());
  return text;
}

void RowCache::put(std::string_view key, std::string_view row) {
  const std::size_t text_bytes = row.size() + key.size();
  if (text_bytes > std::min<std::size_t>(bytes_max_, LZ4_MAX_INPUT_SIZE)) return erase(key);
  if (dictionary_.empty()) dictionary_ = row.substr(0, dictionary_bytes_max);
  std::string text;
  text.reserve(text_bytes);
  text += row;
  text += key;
  LZ4_stream_t stream;  // loading a dictionary initializes it
  LZ4_loadDict(&stream, dictionary_.data(), static_cast<int>(dictionary_.size()));
  std::string packed(static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(text_bytes))),
                     '\0');
  const int packed_bytes =
      LZ4_compress_fast_continue(&stream, text.data(), packed.data(), static_cast<int>(text_bytes),
                                 static_cast<int>(packed.size()), /*acceleration=*/1);
  if (packed_bytes <= 0) std::abort();  // LZ4 promises that the bound is enough
  packed.resize(static_cast<std::size_t>(packed_bytes));

  Entry& entry = entries_[place_for(hash_of(key))];
  if (entry.packed) bytes_ -= size_of(entry);
  entry.packed = std::make_unique_for_overwrite<char[]>(packed.size());
  std::memcpy(entry.packed.get(), packed.data(), packed.size());
  entry.packed_bytes = static_cast<std::uint32_t>(packed.size());
  entry.text_bytes = static_cast<std::uint32_t>(text_bytes);
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
  dictionary_.clear();
  hand_ = 0;
  bytes_ = 0;
}

std::size_t RowCache::size_of(const Entry& entry) { return entry.packed_bytes + overhead_bytes; }

// The entry with that hash, or else a new one, whose `packed` is null.
RowCache::Place RowCache::place_for(std::uint64_t hash) {
  if (const auto found = by_hash_.find(hash); found != by_hash_.end()) return *found;
  Place place = 0;
  if (free_.empty()) {
    place = static_cast<Place>(entries_.size());
    entries_.emplace_back();
  } else {
    place = free_.back();
    free_.pop_back();
  }
  entries_[place].hash = hash;
  by_hash_.insert(place);
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
    } else if (entry.packed) {
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
  return shard.rows.find(key);
}

void SharedRowCache::put(std::string_view key, std::string_view row) {
  Shard& shard = shard_of(key);
  const std::lock_guard lock{shard.mutex};
  shard.rows.put(key, row);
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
  const std::lock_guard lock{shard.mutex};
  // Who replaces rows says so first and comes here then: either that is seen, or what it puts
  // comes after this.
  if (age != age_) return false;
  if (!shard.rows.contains(key)) shard.rows.put(key, row);
  return true;
}

bool SharedRowCache::full() {
  std::size_t bytes = 0;
  for (Shard& shard : shards_) {
    const std::lock_guard lock{shard.mutex};
    bytes += shard.rows.bytes();
  }
  return bytes >= bytes_max_ - bytes_max_ / 16;
}

SharedRowCache::Shard& SharedRowCache::shard_of(std::string_view key) {
  return shards_[RowCache::hash_of(key) / (~std::uint64_t{0} / shard_count + 1)];
}

}  // namespace contactd::infra
