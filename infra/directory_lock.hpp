#pragma once

#include <filesystem>

namespace contactd::infra {

// Whether somebody has the database in `directory` open to write to it, or, the second, holds a
// ReadLock of it. (RocksDB locks the file LOCK.) REQUIRES: this process doesn't write to it:
// closing that file would let RocksDB's lock go.
bool is_written_to(const std::filesystem::path& directory);
bool is_in_use(const std::filesystem::path& directory);

// Keeps all others who would write to `directory` out while this lives. Of a directory that isn't
// one database: RocksDB has its own lock on each.
class WriteLock {
 public:
  // Throws StoreUnavailable if somebody else has it, or if it can't be made.
  explicit WriteLock(const std::filesystem::path& directory);
  ~WriteLock();
  WriteLock(const WriteLock&) = delete;
  WriteLock& operator=(const WriteLock&) = delete;

 private:
  int descriptor_ = -1;
};

// Keeps those who write to the database in `directory` out while this lives; several may, also
// where the file system can't be written. Where nobody has ever written, there is nothing to hold.
class ReadLock {
 public:
  // Throws StoreUnavailable if somebody writes to it.
  explicit ReadLock(const std::filesystem::path& directory);
  ~ReadLock();
  ReadLock(const ReadLock&) = delete;
  ReadLock& operator=(const ReadLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace contactd::infra
