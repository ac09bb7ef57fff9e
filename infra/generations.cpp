#include "infra/generations.hpp"

#include <algorithm>
#include <cassert>

#include "infra/background_thread.hpp"
#include "infra/errors.hpp"
#include "infra/log.hpp"
#include "infra/sorted_files.hpp"
#include "projections/prefetch.hpp"

namespace contactd::infra {
namespace {

using projections::Table;
using projections::table_count;

// When a generation is written out; about two of them are in memory then.
constexpr std::size_t generation_bytes = 40U << 20U;
// What the active one may grow to while the one before it is being written out.
constexpr std::size_t generation_bytes_max = 2 * generation_bytes;
constexpr std::chrono::milliseconds retry_pause{500};
// Sorted rows lie all over the memory: each is loaded in two steps while those before it are
// written, first what says where it is.
void prefetch_after(const std::vector<Generation::Entry>& entries, std::size_t at) {
  if (at + 2 * projections::prefetch_ahead < entries.size()) {
    const auto& [key, row] = entries[at + 2 * projections::prefetch_ahead];
    projections::prefetch(key.data(), key.size());
    projections::prefetch(row, sizeof(*row));
  }
  if (at + projections::prefetch_ahead < entries.size()) {
    const Generation::Row& row = *entries[at + projections::prefetch_ahead].second;
    if (row) projections::prefetch(row->data(), row->size());
  }
}

void write_rows(const std::vector<Generation::Entry>& entries, SortedFiles::Writer& file) {
  for (std::size_t i = 0; i < entries.size(); ++i) {
    prefetch_after(entries, i);
    const auto& [key, row] = entries[i];
    if (row->has_value()) {
      file.put(key, **row);
    } else {
      file.remove(key);
    }
  }
}

}  // namespace

bool Overlay::hides(std::string_view key) const {
  return std::any_of(removed.begin(), removed.end(), [&](const Generation::Range& range) {
    return key >= range.first && key < range.second;
  });
}

Generations::Generations(const RocksDb& db, OnFlushed on_flushed)
    : db_(db), on_flushed_(std::move(on_flushed)) {
  flusher_ = std::jthread{[this](std::stop_token stop) {
    become_background_thread("flusher");
    write_out(std::move(stop));
  }};
}

Generations::~Generations() {
  try {
    flush();
  } catch (const std::exception& problem) {
    // The next start folds it again.
    spdlog::warn("{}; closing without", problem.what());
  }
}

void Generations::commit(std::vector<Change> changes) {
  std::unique_lock lock{mutex_};
  wait_for_room(lock);
  for (Change& change : changes) {
    switch (change.kind) {
      case Change::Kind::put:
        active_->put(change.table, std::move(change.key), std::move(change.value));
        break;
      case Change::Kind::remove:
        active_->remove(change.table, std::move(change.key));
        break;
      case Change::Kind::remove_once:
        assert(change.table == Table::by_update);
        active_->remove_update(std::move(change.key));
        break;
      case Change::Kind::remove_range:
        active_->remove_range(change.table, std::move(change.key), std::move(change.value));
        break;
    }
  }
  if (active_->bytes() >= generation_bytes && frozen_ == nullptr) freeze();
}

// Called with mutex_ held alone.
void Generations::freeze() {
  frozen_ = std::move(active_);
  active_ = std::make_unique<Generation>();
  to_flush_.notify_one();
}

void Generations::wait_for_room(std::unique_lock<std::shared_mutex>& lock) {
  flushed_.wait(lock, [this] {
    return frozen_ == nullptr || active_->bytes() < generation_bytes_max || !failure_.empty();
  });
  if (active_->bytes() < generation_bytes_max) return;
  if (frozen_ == nullptr) return freeze();
  throw StoreUnavailable("the projections can't be written to the disk: " + failure_ +
                         "; free space or check the disk, and it goes on by itself");
}

std::optional<Generation::Row> Generations::find(Table table, std::string_view key) const {
  const std::shared_lock lock{mutex_};
  const Generation::Row* row = look_up(table, key);
  if (row == nullptr) return std::nullopt;
  return *row;
}

const Generation::Row* Generations::look_up(Table table, std::string_view key) const {
  const Generation::Row* row = active_->find(table, key);
  if (row == nullptr && frozen_ != nullptr) row = frozen_->find(table, key);
  return row;
}

Overlay Generations::overlay(Table table, std::string_view begin, std::string_view end,
                             std::size_t count_max) const {
  std::vector<Generation::Entry> newer = active_->entries(table, begin, end, count_max);
  std::vector<Generation::Entry> older;
  if (frozen_ != nullptr) older = frozen_->entries(table, begin, end, count_max);
  Overlay overlay;
  // What isn't known of one generation is of no use of the other.
  for (const auto* entries : {&newer, &older}) {
    if (entries->size() < count_max) continue;
    const std::string_view last = entries->back().first;
    if (!overlay.cut || last < *overlay.cut) overlay.cut = last;
  }
  if (overlay.cut) {
    const auto past = [&](const auto& entry) { return entry.first >= *overlay.cut; };
    std::erase_if(newer, past);
    std::erase_if(older, past);
  }
  overlay.removed = active_->removed_ranges(table);
  if (frozen_ != nullptr) {
    std::erase_if(older, [&](const auto& entry) { return overlay.hides(entry.first); });
    const auto& removed = frozen_->removed_ranges(table);
    overlay.removed.insert(overlay.removed.end(), removed.begin(), removed.end());
  }
  overlay.rows.reserve(newer.size() + older.size());
  auto next = older.begin();
  for (const auto& [key, row] : newer) {
    for (; next != older.end() && next->first < key; ++next) {
      overlay.rows.emplace_back(next->first, *next->second);
    }
    if (next != older.end() && next->first == key) ++next;
    overlay.rows.emplace_back(key, *row);
  }
  for (; next != older.end(); ++next) overlay.rows.emplace_back(next->first, *next->second);
  return overlay;
}

void Generations::flush() {
  std::unique_lock lock{mutex_};
  const auto written = [this] { return frozen_ == nullptr || !failure_.empty(); };
  flushed_.wait(lock, written);
  if (frozen_ == nullptr && !active_->empty()) {
    freeze();
    flushed_.wait(lock, written);
  }
  if (frozen_ != nullptr) {
    throw StoreUnavailable("the projections can't be written to the disk: " + failure_);
  }
}

void Generations::write_out(std::stop_token stop) {
  RepeatedFailure failing;
  for (bool failed = false;;) {
    const Generation* generation = nullptr;
    {
      std::unique_lock lock{mutex_};
      to_flush_.wait(lock, stop, [this] { return frozen_ != nullptr; });
      if (stop.stop_requested()) return;
      generation = frozen_.get();
    }
    std::string failure;
    try {
      if (failed) require_ok(db_->Resume());  // after a full disk RocksDB needs to be told
      wait_for_compaction(db_, stop);
      write_one(*generation);
      on_flushed_(*generation);
    } catch (const std::exception& problem) {
      failure = problem.what();
      remove_leftovers(db_);  // or each attempt takes more of the room that the log needs
      if (failing.is_news(failure)) {
        spdlog::error("projections: can't be written to the disk: {}; trying again", failure);
      }
    }
    std::unique_ptr<const Generation> done;  // freed after the lock
    std::unique_lock lock{mutex_};
    failure_ = failure;
    failed = !failure.empty();
    if (!failed) failing.end();
    if (!failed) done = std::move(frozen_);
    flushed_.notify_all();
    if (failed) to_flush_.wait_for(lock, stop, retry_pause, [] { return false; });
  }
}

void Generations::write_one(const Generation& generation) {
  SortedFiles files{db_};
  for (std::size_t i = 0; i < table_count; ++i) {
    const auto table = static_cast<Table>(i);
    const std::vector<Generation::Entry> entries = generation.entries(table, {}, {});
    const auto& removed = generation.removed_ranges(table);
    if (entries.empty() && removed.empty()) continue;
    SortedFiles::Writer file = files.add(table);
    for (const auto& [begin, end] : removed) file.remove_range(begin, end);
    write_rows(entries, file);
    file.finish();
  }
  files.ingest();
}

}  // namespace contactd::infra
