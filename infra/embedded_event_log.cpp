#include "infra/embedded_event_log.hpp"

#include <rocksdb/listener.h>

#include <array>
#include <cassert>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <shared_mutex>

#include "infra/durable_file.hpp"
#include "infra/embedded_log_files.hpp"
#include "infra/errors.hpp"
#include "infra/record_codec.hpp"
#include "infra/wal_files.hpp"

namespace contactd::infra {
namespace {

constexpr std::uint32_t only_partition = 0;
// What is reserved of the disk ahead of the log's end, and so is still taken when the disk is full,
// before the rows that follow from it find no room.
constexpr std::size_t wal_reserve_bytes = 4U << 20U;
// Written over again instead of made anew: to sync a file that doesn't grow takes half the time.
constexpr std::size_t recycled_wal_files = 2;

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

class RocksDbEventLog final : public EmbeddedEventLog {
 public:
  RocksDbEventLog(std::filesystem::path directory, rocksdb::Env* env)
      : directory_(std::move(directory)), wals_(env) {
    std::error_code ignored;  // of a copy that was cut off, as far as RocksDB had come with it
    std::filesystem::remove_all(directory_.string() + ".copy.tmp", ignored);
    std::filesystem::remove_all(directory_.string() + ".copy", ignored);
    open();
  }

  std::uint32_t partition_count() const override { return 1; }

  Claim claim(std::uint32_t partition, const domain::RecordedEvent& proposal) override {
    assert(partition == only_partition);
    const std::lock_guard lock{append_mutex_};
    if (full_) reopen();
    const std::uint64_t epoch = end_offset(partition);
    const auto status = write({&proposal, 1}, {});
    if (!status.ok()) throw LogUnavailable(log_failed_to("claim", status));
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
    // All is in tables. The WAL that is written on goes without: an empty one in its stead, since a
    // log without would be taken for damaged.
    const auto no_wals = reading_no_wals(wals_.env());
    const RocksDb copy = open_log_to_read(directory, no_wals.get());
    const std::filesystem::path wal = directory / wal_in_the_stead_of_none(copy);
    if (!std::ofstream{wal}) throw LogUnavailable("can't create " + wal.string());
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

}  // namespace

std::unique_ptr<EmbeddedEventLog> open_embedded_event_log(const std::filesystem::path& directory,
                                                          rocksdb::Env* env) {
  try {
    return std::make_unique<RocksDbEventLog>(directory, env);
  } catch (const StoreUnavailable& problem) {
    throw LogUnavailable(problem.what());
  }
}

}  // namespace contactd::infra
