#include "infra/large_batch.hpp"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <boost/sort/pdqsort/pdqsort.hpp>
#include <cstring>
#include <utility>

#include "projections/prefetch.hpp"

namespace contactd::infra {
namespace {

using projections::prefetch;
using projections::prefetch_ahead;
using projections::Table;
using projections::table_count;

// When the rows that came are written to files; about two times as much is in memory then.
constexpr std::size_t rows_bytes_max = 32U << 20U;
constexpr std::size_t entry_bytes = 32;
constexpr std::size_t window_bytes = sizeof(std::uint64_t);

// The bytes of a key from `from` on, and zeros behind its end, as a number that sorts as they do.
std::uint64_t window_of(std::string_view key, std::size_t from) {
  std::array<unsigned char, window_bytes> bytes{};
  std::memcpy(bytes.data(), key.data() + from, std::min(key.size() - from, window_bytes));
  std::uint64_t window = 0;
  for (const unsigned char byte : bytes) window = window << 8U | byte;
  return window;
}

}  // namespace

LargeBatch::LargeBatch(const RocksDb& db, OnCommitted on_committed)
    : db_(db), on_committed_(std::move(on_committed)), files_(db) {}

LargeBatch::~LargeBatch() {
  if (writing_.valid()) writing_.wait();
}

void LargeBatch::put(Table table, std::string key, std::string value) { add(table, key, value); }

void LargeBatch::remove(Table table, std::string key) { add(table, key, std::nullopt); }

void LargeBatch::remove_once(Table table, std::string key) { add(table, key, std::nullopt); }

void LargeBatch::remove_range(Table table, std::string begin, std::string end) {
  bytes_ += begin.size() + end.size();
  tables_[static_cast<std::size_t>(table)].remove_range(std::move(begin), std::move(end));
}

void LargeBatch::add(Table table, std::string_view key, std::optional<std::string_view> row) {
  bytes_ += key.size() + (row ? row->size() : 0) + entry_bytes;
  tables_[static_cast<std::size_t>(table)].add(key, row);
  if (bytes_ >= rows_bytes_max) write_out();
}

void LargeBatch::Rows::add(std::string_view key, std::optional<std::string_view> row) {
  entries_.push_back({static_cast<std::uint32_t>(keys_.size()),
                      static_cast<std::uint32_t>(key.size()),
                      static_cast<std::uint32_t>(rows_.size()),
                      static_cast<std::uint32_t>(row ? row->size() : 0), !row});
  keys_ += key;
  if (row) rows_ += *row;
}

void LargeBatch::Rows::remove_range(std::string begin, std::string end) {
  std::erase_if(entries_, [&](const Entry& entry) {
    const std::string_view key = key_of(entry);
    return key >= begin && key < end;
  });
  removed_ranges_.emplace_back(std::move(begin), std::move(end));
}

void LargeBatch::Rows::clear() {
  keys_.clear();
  rows_.clear();
  entries_.clear();
  removed_ranges_.clear();
}

std::string_view LargeBatch::Rows::key_of(const Entry& entry) const {
  return std::string_view{keys_}.substr(entry.key_at, entry.key_bytes);
}

std::string_view LargeBatch::Rows::row_of(const Entry& entry) const {
  return std::string_view{rows_}.substr(entry.row_at, entry.row_bytes);
}

// Eight bytes of each key at a time, which lie in the entries while they are compared: the keys lie
// all over the memory, and many begin alike (multikey sort with caching: Rantala, "Engineering
// Radix Sort for Strings").
void LargeBatch::Rows::sort(std::span<Entry> entries, std::size_t from) const {
  for (Entry& entry : entries) entry.window = window_of(key_of(entry), from);
  // One that ends within the window, like one that has zeros there, but for what follows.
  const auto length = [from](const Entry& entry) {
    return std::min<std::size_t>(entry.key_bytes - from, window_bytes);
  };
  boost::sort::pdqsort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) {
    if (a.window != b.window) return a.window < b.window;
    if (length(a) != length(b)) return length(a) < length(b);
    return a.key_at < b.key_at;
  });
  for (auto first = entries.begin(); first != entries.end();) {
    const auto last = std::find_if(first, entries.end(), [&](const Entry& entry) {
      return entry.window != first->window || length(entry) != length(*first);
    });
    if (last - first > 1 && length(*first) == window_bytes) {
      sort({first, last}, from + window_bytes);
    }
    first = last;
  }
}

void LargeBatch::Rows::sort() {
  sort(entries_, 0);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const bool last = i + 1 == entries_.size() || key_of(entries_[i]) != key_of(entries_[i + 1]);
    if (last) entries_[kept++] = entries_[i];
  }
  entries_.resize(kept);
}

void LargeBatch::Rows::write(Table table, SortedFiles& files) {
  if (entries_.empty() && removed_ranges_.empty()) return;
  SortedFiles::Writer file = files.add(table);
  for (const auto& [begin, end] : removed_ranges_) file.remove_range(begin, end);
  sort();
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    // Sorted rows lie all over the memory: each is loaded while the ones before it are written.
    if (i + prefetch_ahead < entries_.size()) {
      const Entry& coming = entries_[i + prefetch_ahead];
      prefetch(key_of(coming).data(), coming.key_bytes);
      prefetch(row_of(coming).data(), coming.row_bytes);
    }
    const Entry& entry = entries_[i];
    if (entry.removed) {
      file.remove(key_of(entry));
    } else {
      file.put(key_of(entry), row_of(entry));
    }
  }
  file.finish();
}

void LargeBatch::write_out() {
  wait_until_written();
  bytes_ = 0;
  tables_.swap(full_);
  writing_ = std::async(std::launch::async, [this] {
    pthread_setname_np(pthread_self(), "rows-out");  // for top, perf and gdb
    write_full();
  });
}

void LargeBatch::wait_until_written() {
  if (writing_.valid()) writing_.get();
}

void LargeBatch::write_full() {
  for (std::size_t i = 0; i < table_count; ++i) {
    full_[i].write(static_cast<Table>(i), files_);
    full_[i].clear();
  }
}

void LargeBatch::commit() {
  write_out();
  wait_until_written();
  wait_for_compaction(db_, {});
  files_.ingest();
  on_committed_();
}

}  // namespace contactd::infra
