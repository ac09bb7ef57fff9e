#include "infra/embedded_log_files.hpp"

#include <rocksdb/table.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>
#include <memory>
#include <vector>

#include "infra/errors.hpp"
#include "infra/record_codec.hpp"
#include "infra/wal_check.hpp"
#include "infra/wal_files.hpp"
#include "infra/wal_format.hpp"
#include "projections/binary.hpp"
#include "projections/fold.hpp"

namespace contactd::infra {
namespace {

constexpr std::size_t write_buffer_bytes = 16U << 20U;
constexpr int write_buffers_max = 3;
// The log is read in its order, never here and there: big blocks compress better, and to read on
// costs less.
constexpr std::size_t table_block_bytes = 64U << 10U;

std::uint64_t offset_of(const rocksdb::Slice& key) {
  if (key.size() != sizeof(std::uint64_t)) {
    throw projections::BrokenLog("the embedded log has a record whose key is no offset, 0x" +
                                 key.ToString(true) +
                                 ": contactd hasn't written it; restore the log from a backup");
  }
  return projections::BinaryReader{view(key)}.number<std::uint64_t>();
}

// What is damaged stays so; any other failure may pass.
[[noreturn]] void fail_to_read(const rocksdb::Status& status) {
  if (status.IsCorruption()) throw projections::BrokenLog(log_failed_to("read", status));
  throw LogUnavailable(log_failed_to("read", status));
}

void read_into(LogEntry& entry, std::uint64_t offset, std::string_view record) {
  entry.offset = offset;
  entry.record = decode_record(record);
  if (std::holds_alternative<domain::RecordedEvent>(entry.record)) {
    entry.canonical = canonical_part(record);
  }
}

// The number of the newest WAL; 0 if there is none.
std::uint32_t newest_wal(const std::filesystem::path& directory, rocksdb::Env& env) {
  std::vector<std::string> names;
  const auto status = env.GetChildren(directory.string(), &names);
  if (!status.ok()) fail_to_read(status);
  std::uint32_t newest = 0;
  for (const std::string& name : names) newest = std::max(newest, wal_number_of(name).value_or(0));
  return newest;
}

// RocksDB would make a new database there, and remove the tables, which aren't of it.
void require_current(const std::filesystem::path& directory, rocksdb::Env& env) {
  std::vector<std::string> names;
  const auto status = env.GetChildren(directory.string(), &names);
  if (status.IsNotFound()) return;
  if (!status.ok()) fail_to_read(status);
  const auto is = [&](const char* name) { return std::ranges::find(names, name) != names.end(); };
  // Of a database that is new both are made later than that file.
  const auto holds_records = [](const std::string& name) {
    return name.ends_with(".sst") || wal_number_of(name).has_value();
  };
  if (is("CURRENT") || std::ranges::none_of(names, holds_records)) return;
  throw LogUnavailable("the embedded log is damaged: " + directory.string() +
                       " has records but lacks the file CURRENT, without which they can't be "
                       "read; nothing was changed. Bring that file back, or restore the log from a "
                       "backup");
}

// The number that the newest WAL has at least, by the manifest.
std::uint64_t wanted_wal(const RocksDb& db) {
  std::uint64_t number = 0;
  if (db->GetIntProperty(rocksdb::DB::Properties::kMinLogNumberToKeep, &number)) return number;
  throw LogUnavailable(
      "this RocksDB doesn't say which write-ahead log there must be; start contactd "
      "with the one that it was built with");
}

}  // namespace

std::string log_failed_to(std::string_view what, const rocksdb::Status& status) {
  return "the embedded log failed to " + std::string{what} + ": " + status.ToString() +
         advice_on_log(status);
}

rocksdb::ColumnFamilyOptions record_options() {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = write_buffer_bytes;
  options.max_write_buffer_number = write_buffers_max;
  // On every level alike, so that a table is written once: as its keys come after all others, it
  // is then moved from level to level, not merged.
  options.compression = rocksdb::kLZ4Compression;
  rocksdb::BlockBasedTableOptions blocks;
  blocks.block_size = table_block_bytes;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(blocks));
  // Its tables don't overlap: many on level 0 cost reads nothing. What moves them on shares a
  // thread with the projections' merges, which may keep it for minutes; a write mustn't wait.
  options.level0_slowdown_writes_trigger = std::numeric_limits<int>::max();
  options.level0_stop_writes_trigger = std::numeric_limits<int>::max();
  return options;
}

std::string key_of(std::uint64_t offset) {
  std::string key;
  projections::append_number(key, offset);
  return key;
}

RocksDb open_log_to_read(const std::filesystem::path& directory, rocksdb::Env* env) {
  return {directory,
          {{"default", record_options()}},
          env,
          "; check the disk; if a file is damaged or missing, restore the log from a backup"};
}

std::uint64_t end_of(const RocksDb& db) {
  const std::unique_ptr<rocksdb::Iterator> last{db->NewIterator({})};
  last->SeekToLast();
  if (!last->status().ok()) fail_to_read(last->status());
  return last->Valid() ? offset_of(last->key()) + 1 : 0;
}

LogSlice read_records(const RocksDb& db, std::uint64_t from, std::uint64_t end,
                      std::size_t count_max) {
  LogSlice slice{{}, from};
  if (from >= end) return slice;
  slice.entries.reserve(std::min<std::uint64_t>(count_max, end - from));
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> at{db->NewIterator(options)};
  std::size_t bytes = 0;
  for (at->Seek(key_of(from));
       at->Valid() && slice.entries.size() < count_max && bytes < slice_bytes_max; at->Next()) {
    const std::uint64_t offset = offset_of(at->key());
    if (offset >= end) break;
    if (offset != slice.next_offset) {
      throw projections::BrokenLog("the embedded log lacks the record at offset " +
                                   std::to_string(slice.next_offset) +
                                   "; restore it from a backup");
    }
    read_into(slice.entries.emplace_back(), offset, view(at->value()));
    bytes += at->value().size();
    slice.next_offset = offset + 1;
  }
  if (!at->status().ok()) fail_to_read(at->status());
  return slice;
}

void require_nothing_would_be_forgotten(const std::filesystem::path& directory, rocksdb::Env* env) {
  require_current(directory, *env);
  const std::vector<WalGap> gaps = find_wal_gaps(directory);
  if (!env->FileExists((directory / "CURRENT").string()).ok() && gaps.empty()) return;
  const auto no_wals = reading_no_wals(env);
  const RocksDb tables = open_log_to_read(directory, no_wals.get());
  const std::uint64_t end_of_tables = end_of(tables);
  for (const WalGap& gap : gaps) {
    if (gap.last_offset < end_of_tables) continue;
    throw LogUnavailable("the embedded log is damaged: it lacks the record at offset " +
                         std::to_string(gap.last_offset) + ", by " + gap.file.string() +
                         " at byte " + std::to_string(gap.byte) +
                         ", with acknowledged records behind it; restore it from a backup");
  }
  const std::uint64_t wanted = wanted_wal(tables);
  if (newest_wal(directory, *env) >= wanted) return;
  throw LogUnavailable("the embedded log is damaged: " + directory.string() +
                       " lacks its newest write-ahead log, number " + std::to_string(wanted) +
                       " or higher, and with it records that may have been acknowledged; restore "
                       "the log from a backup");
}

std::string wal_in_the_stead_of_none(const RocksDb& db) {
  std::array<char, 32> name{};
  std::snprintf(name.data(), name.size(), "%06llu.log",
                static_cast<unsigned long long>(wanted_wal(db)));
  return name.data();
}

}  // namespace contactd::infra
