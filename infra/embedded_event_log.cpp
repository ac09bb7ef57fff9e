#include "infra/embedded_event_log.hpp"

#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <stdlib.h>

#include <array>
#include <cassert>
#include <condition_variable>
#include <cstring>
#include <limits>
#include <mutex>
#include <shared_mutex>
#include <thread>

#include "infra/durable_file.hpp"
#include "infra/errors.hpp"
#include "infra/record_codec.hpp"
#include "infra/rocksdb_open.hpp"
#include "infra/wal_check.hpp"
#include "infra/wal_files.hpp"
#include "projections/binary.hpp"
#include "projections/fold.hpp"

namespace contactd::infra {
namespace {

constexpr std::uint32_t only_partition = 0;
constexpr std::size_t write_buffer_bytes = 16U << 20U;
constexpr int write_buffers_max = 3;
// The log is read in its order, never here and there: big blocks compress better, and to read on
// costs less.
constexpr std::size_t table_block_bytes = 64U << 10U;
// What is reserved of the disk ahead of the log's end, and so is still taken when the disk is full,
// before the rows that follow from it find no room.
constexpr std::size_t wal_reserve_bytes = 4U << 20U;
// Written over again instead of made anew: to sync a file that doesn't grow takes half the time.
constexpr std::size_t recycled_wal_files = 2;
// Beside its writer: a file may go between the moments when it is listed and opened, and goes often
// where much is written.
constexpr int open_attempts = 10;
constexpr int catch_up_attempts = 5;

// Keeps RocksDB from going on by itself after a full disk: it writes to the file in which a write
// has failed, and an assertion of Debian's build ends the process for that.
class NoRecovery final : public rocksdb::EventListener {
 public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* auto_recovery) override {
    *auto_recovery = false;
  }
};

// REQUIRES: `env` is that of a WalFiles.
rocksdb::DBOptions database_options(rocksdb::Env* env) {
  rocksdb::DBOptions options;
  options.env = env;
  options.create_if_missing = true;
  options.paranoid_checks = true;
  // The one mode in which RocksDB writes over its WALs again. There is nothing that it would skip:
  // of a WAL it is given what precedes the first record that isn't valid. That nothing follows
  // which was acknowledged, wal_check.hpp sees to.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords;
  options.recycle_log_file_num = recycled_wal_files;
  // With one column family that is all that it does: files end with their write buffer.
  options.max_total_wal_size = wal_reserve_bytes;
  options.max_background_jobs = 2;
  options.allow_concurrent_memtable_write = false;  // one thread writes
  options.listeners = {std::make_shared<NoRecovery>()};
  return options;
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

std::uint64_t offset_of(const rocksdb::Slice& key) {
  return projections::BinaryReader{view(key)}.number<std::uint64_t>();
}

std::string failed(std::string_view what, const rocksdb::Status& status) {
  return "the embedded log failed to " + std::string{what} + ": " + status.ToString() +
         advice_on_log(status);
}

// What is damaged stays so; any other failure may pass.
[[noreturn]] void fail_to_read(const rocksdb::Status& status) {
  if (status.IsCorruption()) throw projections::BrokenLog(failed("read", status));
  throw LogUnavailable(failed("read", status));
}

// One past the last record.
std::uint64_t end_of(const RocksDb& db) {
  const std::unique_ptr<rocksdb::Iterator> last{db->NewIterator({})};
  last->SeekToLast();
  if (!last->status().ok()) fail_to_read(last->status());
  return last->Valid() ? offset_of(last->key()) + 1 : 0;
}

void read_into(LogEntry& entry, std::uint64_t offset, std::string_view record) {
  entry.offset = offset;
  entry.record = decode_record(record);
  if (std::holds_alternative<domain::RecordedEvent>(entry.record)) {
    entry.canonical = canonical_part(record);
  }
}

// The records from `from` up to, without, `end`, at most `count_max` of them.
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

// RocksDB would read a damaged WAL up to the damage, forget the rest, and delete it.
void require_nothing_would_be_forgotten(const std::filesystem::path& directory, rocksdb::Env* env) {
  const std::vector<WalGap> gaps = find_wal_gaps(directory);
  if (gaps.empty()) return;
  const auto no_wals = reading_no_wals(env);
  const std::uint64_t end_of_tables =
      end_of(RocksDb{directory, {{"default", record_options()}}, no_wals.get()});
  for (const WalGap& gap : gaps) {
    if (gap.last_offset < end_of_tables) continue;
    throw LogUnavailable("the embedded log is damaged: it lacks the record at offset " +
                         std::to_string(gap.last_offset) + ", by " + gap.file.string() +
                         " at byte " + std::to_string(gap.byte) +
                         ", with acknowledged records behind it; restore it from a backup");
  }
}

class RocksDbEventLog final : public EmbeddedEventLog {
 public:
  RocksDbEventLog(std::filesystem::path directory, rocksdb::Env* env)
      : directory_(std::move(directory)), wals_(env) {
    open();
  }

  std::uint32_t partition_count() const override { return 1; }

  Claim claim(std::uint32_t partition, const domain::RecordedEvent& proposal) override {
    assert(partition == only_partition);
    const std::lock_guard lock{append_mutex_};
    if (full_) reopen();
    const std::uint64_t epoch = end_offset(partition);
    const auto status = write({&proposal, 1}, {});
    if (!status.ok()) throw LogUnavailable(failed("claim", status));
    claimed_ = epoch;
    return {partition, epoch};
  }

  AppendResult append(const Claim& claim, std::span<const domain::RecordedEvent> batch,
                      std::span<const std::string> canonical) override {
    assert(!batch.empty());
    const std::lock_guard lock{append_mutex_};
    if (claim.epoch != claimed_) return AppendResult::fenced;
    if (write(batch, canonical).ok()) return AppendResult::committed;
    // RocksDB can't say what of it reached the disk. No more under this claim.
    claimed_ = no_claim;
    return AppendResult::unknown;
  }

  void release(std::uint32_t) override {
    const std::lock_guard lock{append_mutex_};
    claimed_ = no_claim;
  }

  LogSlice read(std::uint32_t, std::uint64_t from, std::size_t count_max) override {
    const std::shared_lock lock{db_mutex_};
    require_room();
    // What lies past it is written, but not yet known to be synced.
    return read_records(*db_, from, end_offset(only_partition), count_max);
  }

  bool wait(std::uint32_t, std::uint64_t from, std::chrono::milliseconds patience) override {
    std::unique_lock lock{end_mutex_};
    return grown_.wait_for(lock, patience, [&] { return from < end_; });
  }

  void copy_to(const std::filesystem::path& directory) override {
    // Beside the log, where RocksDB links files instead of copying them: a copy to another file
    // system may take long.
    const std::filesystem::path beside = directory_.string() + ".copy";
    try {
      std::filesystem::remove_all(beside);  // of one that was cut off
      link_to(beside);
      move_to(directory, beside);
    } catch (const std::exception& problem) {
      std::error_code ignored;  // what is linked keeps its room on the disk
      std::filesystem::remove_all(beside, ignored);
      throw LogUnavailable("the embedded log can't be copied to " + directory.string() + ": " +
                           problem.what() + "; check the place and its free space");
    }
  }

  std::uint64_t end_offset(std::uint32_t) override {
    const std::lock_guard lock{end_mutex_};
    return end_;
  }

 private:
  static constexpr std::uint64_t no_claim = static_cast<std::uint64_t>(-1);

  static void put(rocksdb::WriteBatch& batch, std::string_view key, std::string_view prefix,
                  std::string_view canonical) {
    const rocksdb::Slice key_part = slice(key);
    const std::array value_parts{slice(prefix), slice(canonical)};
    batch.Put(rocksdb::SliceParts{&key_part, 1},
              rocksdb::SliceParts{value_parts.data(), static_cast<int>(value_parts.size())});
  }

  static void move_to(const std::filesystem::path& directory, const std::filesystem::path& from) {
    std::error_code elsewhere;  // on another file system
    std::filesystem::rename(from, directory, elsewhere);
    if (!elsewhere) return;
    std::filesystem::copy(from, directory, std::filesystem::copy_options::recursive);
    for (const auto& entry : std::filesystem::directory_iterator{directory}) {
      sync_to_disk(entry.path());
    }
    std::filesystem::remove_all(from);
  }

  void link_to(const std::filesystem::path& directory) {
    const std::shared_lock lock{db_mutex_};
    require_room();
    db_->copy_to(directory);
  }

  // Called with db_mutex_ held.
  void require_room() const {
    if (db_ == nullptr) throw LogUnavailable("the embedded log's disk is full; free space");
  }

  void open() {
    wals_.show();
    require_nothing_would_be_forgotten(directory_, wals_.env());
    db_ = std::make_unique<RocksDb>(directory_, database_options(wals_.env()),
                                    std::vector<RocksDb::Family>{{"default", record_options()}});
    wals_.hide();
    const std::lock_guard lock{end_mutex_};
    end_ = end_of(*db_);
    grown_.notify_all();
  }

  // After a full disk. After any other failed write no more is taken until contactd is started
  // again: what a disk has of a sync that failed nobody can say. Guarded by append_mutex_.
  void reopen() {
    const std::unique_lock lock{db_mutex_};
    db_.reset();
    try {
      open();
    } catch (const StoreUnavailable& problem) {
      throw LogUnavailable(problem.what());
    }
    full_ = false;
  }

  // Guarded by append_mutex_. Returns once the records are on the disk.
  rocksdb::Status write(std::span<const domain::RecordedEvent> events,
                        std::span<const std::string> canonical) {
    assert(canonical.empty() || canonical.size() == events.size());
    std::uint64_t offset = end_offset(only_partition);
    rocksdb::WriteBatch batch;
    for (std::size_t i = 0; i < events.size(); ++i) {
      const std::string key = key_of(offset++);
      if (canonical.empty()) {
        batch.Put(key, encode_record(events[i]));
      } else {
        put(batch, key, record_prefix(events[i]), canonical[i]);
      }
    }
    rocksdb::WriteOptions options;
    options.sync = true;
    const auto status = (*db_)->Write(options, &batch);
    if (status.ok()) {
      const std::lock_guard lock{end_mutex_};
      end_ = offset;
      grown_.notify_all();
    } else if (status.IsNoSpace()) {
      full_ = true;
    }
    return status;
  }

  const std::filesystem::path directory_;
  WalFiles wals_;
  // Changed with append_mutex_ and db_mutex_ held, so that either will do to use it. Null after a
  // full disk, until there is room to open it again; full_ is true then.
  std::unique_ptr<RocksDb> db_;
  std::shared_mutex db_mutex_;
  // Guarded by append_mutex_.
  std::mutex append_mutex_;
  std::uint64_t claimed_ = no_claim;
  bool full_ = false;  // the disk was, at the last write
  // Guarded by end_mutex_: one past the last record known to be synced.
  std::mutex end_mutex_;
  std::condition_variable grown_;
  std::uint64_t end_ = 0;
};

// A directory for RocksDB's own notes while it reads: gone by the time that it has them open.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "contactd-reader-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
      throw LogUnavailable("can't make the temporary directory " + name + ": " +
                           std::strerror(errno) + "; name another place in TMPDIR");
    }
    path_ = name;
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// How often it is looked for what the writer has written.
constexpr std::chrono::milliseconds writer_look_interval{50};

// How far the log reaches, by an open that fails where a file is missing or damaged.
std::uint64_t end_of_all_files(const std::filesystem::path& directory, rocksdb::Env* env) {
  for (int attempt = 1;; ++attempt) {
    try {
      require_nothing_would_be_forgotten(directory, env);
      return end_of(RocksDb{directory, {{"default", record_options()}}, env});
    } catch (const StoreUnavailable& problem) {
      if (attempt == open_attempts) {
        throw LogUnavailable(std::string{problem.what()} +
                             "; check the disk, the permissions and the limit of open files; if a "
                             "file is damaged or missing, restore the log from a backup");
      }
    } catch (const LogUnavailable&) {
      if (attempt == open_attempts) throw;
    }
    std::this_thread::sleep_for(writer_look_interval);
  }
}

// Shows what the writer has written since.
void catch_up(const RocksDb& db) {
  rocksdb::Status status;
  for (int attempt = 0; attempt < catch_up_attempts; ++attempt) {
    status = db->TryCatchUpWithPrimary();
    if (status.ok()) return;
  }
  throw LogUnavailable(failed("show what was written to it", status));
}

// Opened beside its writer, a database passes over files that are missing or damaged, and is what
// it was before they were written: which a log must not seem to be.
std::unique_ptr<RocksDb> open_beside_its_writer(const std::filesystem::path& directory,
                                                rocksdb::Env* env) {
  const std::uint64_t end = end_of_all_files(directory, env);
  for (int attempt = 1;; ++attempt) {
    const ScratchDirectory scratch;
    auto db =
        RocksDb::beside_its_writer(directory, scratch.path(), {{"default", record_options()}}, env);
    catch_up(*db);
    if (end_of(*db) >= end) return db;
    if (attempt == open_attempts) {
      throw LogUnavailable("the embedded log in " + directory.string() + " ends at offset " +
                           std::to_string(end) + ", and can be read up to " +
                           std::to_string(end_of(*db)) + " only; try again");
    }
    std::this_thread::sleep_for(writer_look_interval);
  }
}

class EmbeddedLogReader final : public LogReader {
 public:
  explicit EmbeddedLogReader(const std::filesystem::path& directory)
      : env_(following_wals()), db_(open_beside_its_writer(directory, env_.get())) {}

  std::uint32_t partition_count() const override { return 1; }

  LogSlice read(std::uint32_t, std::uint64_t from, std::size_t count_max) override {
    try {
      return read_records(*db_, from, no_end, count_max);
    } catch (const projections::BrokenLog&) {
      // What its writer has just moved from one file to another may be in neither for a moment.
      catch_up(*db_);
      return read_records(*db_, from, no_end, count_max);
    }
  }

  bool wait(std::uint32_t, std::uint64_t from, std::chrono::milliseconds patience) override {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    for (;;) {
      catch_up(*db_);
      if (end_of(*db_) > from) return true;
      if (std::chrono::steady_clock::now() >= deadline) return false;
      std::this_thread::sleep_for(std::min(writer_look_interval, patience));
    }
  }

  std::uint64_t end_offset(std::uint32_t) override {
    catch_up(*db_);
    return end_of(*db_);
  }

 private:
  static constexpr std::uint64_t no_end = static_cast<std::uint64_t>(-1);

  const std::unique_ptr<rocksdb::Env> env_;
  const std::unique_ptr<RocksDb> db_;
};

}  // namespace

std::unique_ptr<EmbeddedEventLog> open_embedded_event_log(const std::filesystem::path& directory,
                                                          rocksdb::Env* env) {
  try {
    return std::make_unique<RocksDbEventLog>(directory, env);
  } catch (const StoreUnavailable& problem) {
    throw LogUnavailable(problem.what());
  }
}

std::unique_ptr<LogReader> open_embedded_log_reader(const std::filesystem::path& directory) {
  if (!std::filesystem::exists(directory / "CURRENT")) {
    throw LogUnavailable("there is no embedded log in " + directory.string() +
                         "; give the server's data directory with --data-dir");
  }
  try {
    return std::make_unique<EmbeddedLogReader>(directory);
  } catch (const StoreUnavailable& problem) {
    throw LogUnavailable(problem.what());
  }
}

}  // namespace contactd::infra
