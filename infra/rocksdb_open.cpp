#include "infra/rocksdb_open.hpp"

#include <rocksdb/sst_file_reader.h>
#include <rocksdb/utilities/checkpoint.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "infra/errors.hpp"
#include "infra/log.hpp"

namespace contactd::infra {
namespace {

// A flush that leaves its whole table to be written out at once makes the log's next fsync wait
// for all of it. In small steps, the slowest of a hundred PATCHes takes 40 % less time.
constexpr std::uint64_t background_bytes_per_sync = 256U << 10U;
// Room that a manifest takes from the disk ahead of what is in it. RocksDB's default of 4 MiB for
// each of three databases is a good part of a small disk.
constexpr std::size_t manifest_reserve_bytes = 64U << 10U;

// Of a database that is only read, through once or at a few places.
constexpr int open_files_max = 256;

// What RocksDB has to say goes into contactd's log. A file of its own would lie on the disk that it
// complains of, and where that is full, an assertion of Debian's build ends the process.
class Messages final : public rocksdb::Logger {
 public:
  Messages() : rocksdb::Logger(rocksdb::ERROR_LEVEL) {}

  void LogHeader(const char*, va_list) override {}
  void Logv(const char*, va_list) override {}
  void Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    if (level < rocksdb::ERROR_LEVEL || level >= rocksdb::HEADER_LEVEL) return;
    std::array<char, message_bytes_max> text{};
    if (std::vsnprintf(text.data(), text.size(), format, arguments) < 0) return;
    std::string message = without_keys(text.data());
    message.resize(std::min(message.find('\n'), message.size()));  // what follows is a dump
    spdlog::error("RocksDB: {}", message);
  }

 private:
  static constexpr std::size_t message_bytes_max = 1024;
};

std::vector<rocksdb::ColumnFamilyDescriptor> descriptors_of(
    const std::vector<RocksDb::Family>& families) {
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  descriptors.reserve(families.size());
  for (const auto& family : families) descriptors.emplace_back(family.name, family.options);
  return descriptors;
}

// RocksDB has no code of its own for most of them.
bool tells_of(const rocksdb::Status& status, int error) {
  return status.ToString().find(std::strerror(error)) != std::string::npos;
}

bool is_forbidden(const rocksdb::Status& status) {
  return tells_of(status, EACCES) || tells_of(status, EPERM);
}

}  // namespace

RocksDb::RocksDb(const std::filesystem::path& directory, const rocksdb::DBOptions& options,
                 const std::vector<Family>& families) {
  std::error_code ec;
  std::filesystem::create_directories(directory, ec);
  if (ec) {
    throw StoreUnavailable("can't create the directory " + directory.string() + ": " +
                           ec.message() + "; check its parent and its permissions");
  }
  rocksdb::DBOptions gentle = options;
  gentle.bytes_per_sync = background_bytes_per_sync;
  gentle.manifest_preallocation_size = manifest_reserve_bytes;
  gentle.info_log = std::make_shared<Messages>();
  // Flushes and compactions run on threads that all databases share; requests go first.
  for (const auto pool : {rocksdb::Env::LOW, rocksdb::Env::HIGH}) {
    gentle.env->LowerThreadPoolCPUPriority(pool, rocksdb::CpuPriority::kLow).PermitUncheckedError();
  }
  rocksdb::DB* db = nullptr;
  const auto status =
      rocksdb::DB::Open(gentle, directory.string(), descriptors_of(families), &handles_, &db);
  if ((status.IsCorruption() || status.IsPathNotFound()) && !is_forbidden(status)) {
    throw StoreDamaged(directory.string() + " is damaged: " + status.ToString() +
                       "; check the disk, and restore the directory from a backup");
  }
  if (!status.ok()) {
    throw StoreUnavailable(
        "can't open " + directory.string() + ": " + status.ToString() +
        advice_on_opening(status, "; is another contactd running on it, or is the disk at fault?"));
  }
  db_.reset(db);
}

RocksDb::RocksDb(const std::filesystem::path& directory, const std::vector<Family>& families,
                 rocksdb::Env* env, const std::string& advice) {
  rocksdb::DBOptions options;
  if (env != nullptr) options.env = env;
  options.paranoid_checks = true;  // so that all files must be there, opened or not
  options.max_open_files = open_files_max;
  options.info_log = std::make_shared<Messages>();
  rocksdb::DB* db = nullptr;
  const auto status = rocksdb::DB::OpenForReadOnly(options, directory.string(),
                                                   descriptors_of(families), &handles_, &db);
  if (!status.ok()) {
    throw StoreUnavailable("can't read " + directory.string() + ": " + status.ToString() +
                           advice_on_opening(status, advice));
  }
  db_.reset(db);
}

std::unique_ptr<RocksDb> RocksDb::beside_its_writer(const std::filesystem::path& directory,
                                                    const std::filesystem::path& scratch,
                                                    const std::vector<Family>& families,
                                                    rocksdb::Env* env) {
  rocksdb::DBOptions options;
  options.env = env;
  options.paranoid_checks = true;
  options.max_open_files = -1;  // a file that the writer deletes must be open here by then
  options.info_log_level = rocksdb::ERROR_LEVEL;
  std::unique_ptr<RocksDb> opened{new RocksDb};
  rocksdb::DB* db = nullptr;
  const auto status =
      rocksdb::DB::OpenAsSecondary(options, directory.string(), scratch.string(),
                                   descriptors_of(families), &opened->handles_, &db);
  if (!status.ok()) {
    throw StoreUnavailable("can't open " + directory.string() +
                           " for reading: " + status.ToString() +
                           advice_on_opening(status, "; is it a log of contactd's?"));
  }
  opened->db_.reset(db);
  return opened;
}

void RocksDb::check_files(const std::filesystem::path& directory, const std::stop_token& stop) {
  std::vector<std::string> names;
  auto status = rocksdb::DB::ListColumnFamilies({}, directory.string(), &names);
  if (status.ok()) {
    std::vector<Family> families;
    families.reserve(names.size());
    for (const std::string& name : names) families.push_back({name, {}});
    const RocksDb db{directory, families};
    std::vector<rocksdb::LiveFileMetaData> files;
    db->GetLiveFilesMetaData(&files);
    for (const auto& file : files) {
      if (stop.stop_requested()) return;
      rocksdb::SstFileReader reader{{}};
      status = reader.Open(file.db_path + file.name);
      if (status.ok()) status = reader.VerifyChecksum();
      if (!status.ok()) break;
    }
  }
  if (!status.ok()) {
    throw StoreUnavailable("can't read " + directory.string() + ": " + status.ToString());
  }
}

void RocksDb::copy_to(const std::filesystem::path& directory) const {
  rocksdb::Checkpoint* made = nullptr;
  auto status = rocksdb::Checkpoint::Create(db_.get(), &made);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint{made};
  if (status.ok()) status = checkpoint->CreateCheckpoint(directory.string());
  if (!status.ok()) {
    throw StoreUnavailable("can't copy " + db_->GetName() + " to " + directory.string() + ": " +
                           status.ToString());
  }
}

void require_ok(const rocksdb::Status& status) {
  if (!status.ok()) throw StoreUnavailable(status.ToString());
}

std::string advice_on_opening(const rocksdb::Status& status, const std::string& otherwise) {
  if (status.IsNoSpace()) return "; free space";
  if (is_forbidden(status)) return "; run this as the user whose files they are";
  if (tells_of(status, EROFS)) return "; mount its file system so that it can be written to";
  if (tells_of(status, EMFILE)) return "; raise the limit of open files (ulimit -n)";
  return otherwise;
}

std::string advice_on_projections(const rocksdb::Status& status) {
  return status.IsCorruption() ? "; `contactd rebuild` makes them anew from the log"
                               : advice_on_opening(status, "; check the disk, then restart");
}

std::string advice_on_log(const rocksdb::Status& status) {
  return status.IsCorruption() ? "; restore the log from a backup"
                               : advice_on_opening(status, "; check the disk, then restart");
}

RocksDb::~RocksDb() {
  if (!db_) return;
  for (auto* handle : handles_) db_->DestroyColumnFamilyHandle(handle);
  db_->Close().PermitUncheckedError();
}

}  // namespace contactd::infra
