#pragma once

#include <memory>

namespace rocksdb {
class Env;
}

namespace contactd::infra {

// The files as `env` has them, or the machine; but a write-ahead log (WAL) of RocksDB reads as if
// it ended with its last record that is valid and its own, and grew by whole records.
//
// All of them are read when the WAL is opened, so that one that can't be read is an error of that:
// in the mode that writes over WALs, RocksDB takes an error of a later read for the WAL's end.
//
// A WAL that is written over an older one (DBOptions::recycle_log_file_num) spares each sync a
// change of the file's size, and so half its time. But RocksDB, as of 7.8, can't well read what it
// wrote so: the older one's rest looks like damage to one that reads beside the writer, or keeps it
// in a loop for ever, and a WAL that is linked into a checkpoint may be written over later. Only
// the first of these is mended here: a database that is copied must not be written meanwhile.
//
// `env` must outlive it; threads are the machine's.
std::unique_ptr<rocksdb::Env> reading_whole_wals(rocksdb::Env* env = nullptr);

// The same for who reads beside the writer, in modes in which RocksDB tells errors: a WAL is read
// as it is asked for, or it may be gone before the last one of them is opened.
std::unique_ptr<rocksdb::Env> following_wals(rocksdb::Env* env = nullptr);

// The same, but each WAL is empty: what a database has in its tables alone.
std::unique_ptr<rocksdb::Env> reading_no_wals(rocksdb::Env* env = nullptr);

}  // namespace contactd::infra
