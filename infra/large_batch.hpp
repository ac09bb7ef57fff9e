#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "infra/read_store.hpp"
#include "infra/sorted_files.hpp"

namespace contactd::infra {

// A batch of more than memory should hold: its rows are sorted and written to files as they come,
// on a thread of its own, and commit() ingests the files together.
// Threads: as ReadStore::Batch's.
class LargeBatch final : public ReadStore::Batch {
 public:
  using OnCommitted = std::function<void()>;

  // commit() calls `on_committed` once all of it can be read.
  // REQUIRES: `db` outlives this, and has all that was committed before of the keys of this batch.
  LargeBatch(const RocksDb& db, OnCommitted on_committed);
  ~LargeBatch() override;
  LargeBatch(const LargeBatch&) = delete;
  LargeBatch& operator=(const LargeBatch&) = delete;

  void put(projections::Table table, std::string key, std::string value) override;
  void remove(projections::Table table, std::string key) override;
  void remove_once(projections::Table table, std::string key) override;
  void remove_range(projections::Table table, std::string begin, std::string end) override;
  void commit() override;

 private:
  // A table's rows in the order in which they came, one after the other in memory; the keys by
  // themselves, so that what is sorted lies close together.
  class Rows {
   public:
    // No row: it was removed.
    void add(std::string_view key, std::optional<std::string_view> row);
    // Drops what it has of the range.
    void remove_range(std::string begin, std::string end);
    // Nothing, if it has nothing.
    void write(projections::Table table, SortedFiles& files);
    // Keeps the memory.
    void clear();

   private:
    struct Entry {
      std::uint32_t key_at;  // in keys_
      std::uint32_t key_bytes;
      std::uint32_t row_at;  // in rows_
      std::uint32_t row_bytes;
      bool removed;
      std::uint64_t window = 0;  // sort()'s
    };
    std::string_view key_of(const Entry& entry) const;
    std::string_view row_of(const Entry& entry) const;
    // By key, and of each key the last one.
    void sort();
    // By key, and those of one key as they came. REQUIRES: all keys are the same up to `from`.
    void sort(std::span<Entry> entries, std::size_t from) const;

    std::string keys_;
    std::string rows_;
    std::vector<Entry> entries_;
    std::vector<std::pair<std::string, std::string>> removed_ranges_;
  };
  using Tables = std::array<Rows, projections::table_count>;

  void add(projections::Table table, std::string_view key, std::optional<std::string_view> row);
  void write_out();
  void wait_until_written();
  void write_full();

  const RocksDb& db_;
  const OnCommitted on_committed_;
  Tables tables_;
  std::size_t bytes_ = 0;  // of tables_, about
  // Touched by writing_ while that runs.
  Tables full_;
  SortedFiles files_;
  std::future<void> writing_;
};

}  // namespace contactd::infra
