#pragma once

#include <memory>

namespace rocksdb {
class Env;
}

namespace contactd::infra {

// The files as another Env has them, but a write-ahead log (WAL) of RocksDB reads as if it ended
// with its last record that is valid and its own, and grew by whole records.
//
// A WAL that is written over an older one (DBOptions::recycle_log_file_num) spares each sync a
// change of the file's size, and so half its time. But RocksDB, as of 7.8, can't well read what it
// wrote so: the older one's rest looks like damage to one that reads beside the writer, or keeps it
// in a loop for ever, and a WAL that is linked into a checkpoint may be written over later.
//
// The Envs here must be outlived by the one that they are made of; threads are the machine's.

// For who writes such a database.
class WalFiles {
 public:
  // `env` null: the machine's.
  explicit WalFiles(rocksdb::Env* env);
  ~WalFiles();

  rocksdb::Env* env() const { return env_.get(); }

  // While it is opened: a WAL is read whole when RocksDB opens it, so that one that can't be read
  // is an error of that: in the mode that writes over WALs, RocksDB takes an error of a later read
  // for the WAL's end.
  void show();
  // From then on: a WAL seems empty, so that a checkpoint is of tables alone. REQUIRES: RocksDB
  // writes all into tables for a checkpoint (log_size_for_flush is 0).
  void hide();

 private:
  class Files;
  const std::shared_ptr<Files> files_;
  const std::unique_ptr<rocksdb::Env> env_;
};

// For who reads beside the writer, in modes in which RocksDB tells errors: a WAL is read as it is
// asked for, or it may be gone before the last one of them is opened. `env` null: the machine's.
std::unique_ptr<rocksdb::Env> following_wals(rocksdb::Env* env = nullptr);

// Each WAL is empty: what a database has in its tables alone. `env` null: the machine's.
std::unique_ptr<rocksdb::Env> reading_no_wals(rocksdb::Env* env = nullptr);

}  // namespace contactd::infra
