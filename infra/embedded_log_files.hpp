#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "infra/event_log.hpp"
#include "infra/rocksdb_open.hpp"

// The embedded log's database, for who writes it and who reads it. Included by their .cpp files,
// and by nothing else.
namespace contactd::infra {

// Keys are offsets; values are record_codec's.
rocksdb::ColumnFamilyOptions record_options();
std::string key_of(std::uint64_t offset);

// "the embedded log failed to ...", with RocksDB's words and what to do.
std::string log_failed_to(std::string_view what, const rocksdb::Status& status);

// The database in `directory`, for reading alone. Throws StoreUnavailable.
RocksDb open_log_to_read(const std::filesystem::path& directory, rocksdb::Env* env);

// One past the last record. Throws LogUnavailable; BrokenLog if what is there is damaged.
std::uint64_t end_of(const RocksDb& db);

// The records from `from` up to, without, `end`, at most `count_max` of them. Throws as end_of();
// BrokenLog, too, if one is missing.
LogSlice read_records(const RocksDb& db, std::uint64_t from, std::uint64_t end,
                      std::size_t count_max);

// RocksDB would read a damaged write-ahead log (WAL) up to the damage, forget the rest, and delete
// it; or begin a new one where one is missing. Throws LogUnavailable if something may be lost so;
// StoreUnavailable if the files can't be read. Beside the log's writer, files may go meanwhile.
void require_nothing_would_be_forgotten(const std::filesystem::path& directory, rocksdb::Env* env);

// The file name of the WAL that a database without any needs, for require_nothing_...() to hold.
std::string wal_in_the_stead_of_none(const RocksDb& db);

}  // namespace contactd::infra
