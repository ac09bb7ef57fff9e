#include "infra/large_batch.hpp"

#include <algorithm>
#include <boost/sort/spreadsort/string_sort.hpp>
#include <utility>

namespace contactd::infra {
namespace {

using projections::Table;
using projections::table_count;

// When the rows that came are written to files; about two times as much is in memory then.
constexpr std::size_t rows_bytes_max = 32U << 20U;
constexpr std::size_t entry_bytes = 16;

}  // namespace

LargeBatch::LargeBatch(const RocksDb& db, OnContact on_contact, OnCommitted on_committed)
    : db_(db),
      on_contact_(std::move(on_contact)),
      on_committed_(std::move(on_committed)),
      files_(db) {}

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
  if (table == Table::contacts) on_contact_(key);
  bytes_ += key.size() + (row ? row->size() : 0) + entry_bytes;
  tables_[static_cast<std::size_t>(table)].add(key, row);
  if (bytes_ >= rows_bytes_max) write_out();
}

void LargeBatch::Rows::add(std::string_view key, std::optional<std::string_view> row) {
  entries_.push_back({static_cast<std::uint32_t>(text_.size()),
                      static_cast<std::uint32_t>(key.size()),
                      static_cast<std::uint32_t>(row ? row->size() : 0), !row});
  text_ += key;
  if (row) text_ += *row;
}

void LargeBatch::Rows::remove_range(std::string begin, std::string end) {
  std::erase_if(entries_, [&](const Entry& entry) {
    const std::string_view key = key_of(entry);
    return key >= begin && key < end;
  });
  removed_ranges_.emplace_back(std::move(begin), std::move(end));
}

void LargeBatch::Rows::clear() {
  text_.clear();
  entries_.clear();
  removed_ranges_.clear();
}

std::string_view LargeBatch::Rows::key_of(const Entry& entry) const {
  return std::string_view{text_}.substr(entry.key_at, entry.key_bytes);
}

std::vector<LargeBatch::Rows::Entry> LargeBatch::Rows::sorted() const {
  std::vector<Entry> all = entries_;
  // By their bytes, from the first that differs: many keys begin alike.
  boost::sort::spreadsort::string_sort(
      all.begin(), all.end(),
      [this](const Entry& entry, std::size_t at) {
        return static_cast<unsigned char>(key_of(entry)[at]);
      },
      [](const Entry& entry) { return entry.key_bytes; },
      [this](const Entry& a, const Entry& b) { return key_of(a) < key_of(b); });
  // The sort leaves those of one key in any order.
  std::vector<Entry> last;
  last.reserve(all.size());
  for (const Entry& entry : all) {
    if (last.empty() || key_of(last.back()) != key_of(entry)) {
      last.push_back(entry);
    } else if (last.back().key_at < entry.key_at) {
      last.back() = entry;
    }
  }
  return last;
}

void LargeBatch::Rows::write(Table table, SortedFiles& files) const {
  if (entries_.empty() && removed_ranges_.empty()) return;
  SortedFiles::Writer file = files.add(table);
  for (const auto& [begin, end] : removed_ranges_) file.remove_range(begin, end);
  for (const Entry& entry : sorted()) {
    const std::string_view key = key_of(entry);
    if (entry.removed) {
      file.remove(key);
    } else {
      file.put(key, std::string_view{text_}.substr(entry.key_at + key.size(), entry.row_bytes));
    }
  }
  file.finish();
}

void LargeBatch::write_out() {
  wait_until_written();
  bytes_ = 0;
  tables_.swap(full_);
  writing_ = std::async(std::launch::async, [this] { write_full(); });
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
