#include <stdlib.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "infra/embedded_event_log.hpp"
#include "infra/embedded_log_files.hpp"
#include "infra/errors.hpp"
#include "infra/wal_files.hpp"
#include "projections/fold.hpp"

// The embedded log for who reads it beside its writer, if there is one.
namespace contactd::infra {
namespace {

// Beside its writer: a file may go between the moments when it is listed and opened, and goes often
// where much is written.
constexpr int open_attempts = 10;
constexpr int catch_up_attempts = 5;

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
      return end_of(open_log_to_read(directory, env));
    } catch (const Unavailable&) {
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
  throw LogUnavailable(log_failed_to("show what was written to it", status));
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

  bool has_one_writer() const override { return true; }

 private:
  static constexpr std::uint64_t no_end = static_cast<std::uint64_t>(-1);

  const std::unique_ptr<rocksdb::Env> env_;
  const std::unique_ptr<RocksDb> db_;
};

}  // namespace

std::unique_ptr<LogReader> open_embedded_log_reader(const std::filesystem::path& directory) {
  std::error_code ec;  // what may not be looked at may be there
  if (!std::filesystem::exists(directory / "CURRENT", ec) && !ec) {
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
