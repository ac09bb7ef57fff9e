#pragma once

#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

// Included by the .cpp files of infra that talk to RocksDB, and by nothing else.
namespace contactd::infra {

// A database and its column families; closes the handles first, which RocksDB insists on.
class RocksDb {
 public:
  struct Family {
    std::string name;
    rocksdb::ColumnFamilyOptions options;
  };

  // Opens, or creates, the database with exactly `families`, of which the first is "default".
  // Throws StoreUnavailable; StoreDamaged if no later attempt can succeed either.
  RocksDb(const std::filesystem::path& directory, const rocksdb::DBOptions& options,
          const std::vector<Family>& families);
  // Opens those families of an existing database, as of now, and leaves its files as they are.
  // Beside a process that writes to it, files may go meanwhile. Throws StoreUnavailable, also where
  // one is missing or damaged: its message ends with `advice`, or with a better one. Reads by
  // `env`, or else the machine.
  RocksDb(const std::filesystem::path& directory, const std::vector<Family>& families,
          rocksdb::Env* env = nullptr, const std::string& advice = {});
  // Opens an existing database beside the process that writes to it, if one does, to read what it
  // has written; TryCatchUpWithPrimary() shows what it has written since. `scratch` is a directory
  // for RocksDB's own notes. Reads by `env`. Throws StoreUnavailable.
  static std::unique_ptr<RocksDb> beside_its_writer(const std::filesystem::path& directory,
                                                    const std::filesystem::path& scratch,
                                                    const std::vector<Family>& families,
                                                    rocksdb::Env* env);
  ~RocksDb();
  RocksDb(const RocksDb&) = delete;
  RocksDb& operator=(const RocksDb&) = delete;

  // Reads every block of every file of the database in `directory`, which nobody writes to, for its
  // checksum, or of fewer once it is told to stop. Throws StoreUnavailable.
  static void check_files(const std::filesystem::path& directory, const std::stop_token& stop = {});

  // As of one moment, into a directory that must not exist. Throws StoreUnavailable.
  void copy_to(const std::filesystem::path& directory) const;

  rocksdb::DB& operator*() const { return *db_; }
  rocksdb::DB* operator->() const { return db_.get(); }
  rocksdb::ColumnFamilyHandle* family(std::size_t index) const { return handles_[index]; }
  const std::vector<rocksdb::ColumnFamilyHandle*>& families() const { return handles_; }
  // From 1 on, each once. Threads: any.
  std::uint64_t next_file_number() const { return ++files_; }

 private:
  RocksDb() = default;

  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
  mutable std::atomic<std::uint64_t> files_{0};
};

// What to do where the machine doesn't let a database be opened, or read: as the end of a sentence;
// `otherwise` where the status tells of nothing like that.
std::string advice_on_opening(const rocksdb::Status& status, const std::string& otherwise);

// What to do about a failure of the projections' database, or of the log's, as the end of a
// sentence.
std::string advice_on_projections(const rocksdb::Status& status);
std::string advice_on_log(const rocksdb::Status& status);

// Throws StoreUnavailable with RocksDB's own words if an operation failed.
void require_ok(const rocksdb::Status& status);

inline rocksdb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
inline std::string_view view(const rocksdb::Slice& bytes) { return {bytes.data(), bytes.size()}; }

}  // namespace contactd::infra
