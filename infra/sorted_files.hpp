#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "infra/rocksdb_open.hpp"
#include "projections/key_layout.hpp"

// How rows get into the projections' database past RocksDB's memtables: as sorted files, a table a
// file, that are ingested together. Included by the .cpp files of infra that talk to RocksDB.
namespace rocksdb {
class SstFileWriter;
}

namespace contactd::infra {

// Files that were written for a database and are not part of it yet. Those that were never ingested
// are removed with the object, or by remove_leftovers() when the database is next opened.
// Threads: one.
class SortedFiles {
 public:
  // REQUIRES: `db` outlives this; its family of index n is the table n.
  explicit SortedFiles(const RocksDb& db) : db_(db) {}
  ~SortedFiles();
  SortedFiles(const SortedFiles&) = delete;
  SortedFiles& operator=(const SortedFiles&) = delete;

  // A file that is being written. Removed ranges lie beneath its entries; keys ascend.
  // Throws StoreUnavailable.
  class Writer {
   public:
    Writer(const RocksDb& db, projections::Table table, const std::string& path);
    ~Writer();
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    void remove_range(std::string_view begin, std::string_view end);
    void put(std::string_view key, std::string_view row);
    void remove(std::string_view key);
    // To be called once, at the end. REQUIRES: it isn't empty.
    void finish();

   private:
    const std::unique_ptr<rocksdb::SstFileWriter> writer_;
  };
  // Adds a file to a table. What is added later goes before what was added earlier.
  // Throws StoreUnavailable.
  Writer add(projections::Table table);

  // Puts all of them into the database at once, durably; there are none left then.
  // Throws StoreUnavailable.
  void ingest();

 private:
  const RocksDb& db_;
  std::vector<std::vector<std::string>> paths_{projections::table_count};  // by table
};

// Removes files that were never ingested: a crash may have left some, or a disk that got full.
void remove_leftovers(const RocksDb& db);

// Returns once compaction has so few files left to merge that a look-up doesn't suffer; when told
// to stop; or, if it gets no further, after a while.
void wait_for_compaction(const RocksDb& db, const std::stop_token& stop);

}  // namespace contactd::infra
