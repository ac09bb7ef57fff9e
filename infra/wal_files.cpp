#include "infra/wal_files.hpp"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>

#include "infra/wal_format.hpp"

namespace contactd::infra {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

// The valid records of a WAL from its beginning on, as a stream of bytes. At its end it looks at
// each read whether more was written since.
class WholeRecords final : public rocksdb::FSSequentialFile {
 public:
  WholeRecords(std::unique_ptr<rocksdb::FSRandomAccessFile> file, std::uint32_t wal_number)
      : file_(std::move(file)), wal_number_(wal_number) {}

  // Reads what is there. To be called once, before all else.
  IOStatus load() {
    for (;;) {
      const IOStatus status = extend({}, nullptr);
      if (!status.ok() || given_ == valid_) return status;
      loaded_.append(block_, given_, valid_ - given_);
      given_ = valid_;
    }
  }

  IOStatus Read(std::size_t count, const IOOptions& options, rocksdb::Slice* result, char* scratch,
                IODebugContext* context) override {
    std::size_t done = std::min(count, loaded_.size() - loaded_given_);
    std::memcpy(scratch, loaded_.data() + loaded_given_, done);
    loaded_given_ += done;
    if (done > 0 && loaded_given_ == loaded_.size()) {
      loaded_ = {};
      loaded_given_ = 0;
    }
    while (done < count) {
      if (given_ == valid_) {
        IOStatus status = extend(options, context);
        // What there is comes first: RocksDB drops what comes with an error.
        if (!status.ok() && done == 0) return status;
        if (given_ == valid_) break;
      }
      const std::size_t part = std::min(count - done, valid_ - given_);
      std::memcpy(scratch + done, block_.data() + given_, part);
      done += part;
      given_ += part;
    }
    *result = rocksdb::Slice{scratch, done};
    return IOStatus::OK();
  }

  IOStatus Skip(std::uint64_t count) override {
    std::string passed(wal_block_bytes, '\0');
    while (count > 0) {
      rocksdb::Slice part;
      const std::size_t wanted = std::min<std::uint64_t>(count, passed.size());
      const IOStatus status = Read(wanted, {}, &part, passed.data(), nullptr);
      if (!status.ok() || part.empty()) return status;
      count -= part.size();
    }
    return IOStatus::OK();
  }

 private:
  // All that is valid was given: looks for the next record.
  IOStatus extend(const IOOptions& options, IODebugContext* context) {
    if (valid_ == wal_block_bytes) {
      block_at_ += wal_block_bytes;
      block_.clear();
      valid_ = given_ = 0;
    }
    if (take_record()) return IOStatus::OK();
    // What was read of the block may be older than its next record.
    IOStatus status = read_block(options, context);
    if (status.ok()) take_record();
    return status;
  }

  IOStatus read_block(const IOOptions& options, IODebugContext* context) {
    block_.resize(wal_block_bytes);
    rocksdb::Slice read;
    IOStatus status =
        file_->Read(block_at_, wal_block_bytes, options, &read, block_.data(), context);
    if (!status.ok()) return status;
    if (read.data() != block_.data()) std::memmove(block_.data(), read.data(), read.size());
    block_.resize(read.size());
    return status;
  }

  bool take_record() {
    if (block_.size() <= valid_) return false;
    const auto record = wal_record_at(std::string_view{block_}.substr(valid_), wal_number_);
    if (!record) return false;
    valid_ += record->bytes;
    if (wal_block_bytes - valid_ < record->header_bytes) {
      block_.resize(valid_);
      block_.resize(wal_block_bytes);
      valid_ = wal_block_bytes;
    }
    return true;
  }

  const std::unique_ptr<rocksdb::FSRandomAccessFile> file_;
  const std::uint32_t wal_number_;
  std::string loaded_;  // what was there at first, until it was given
  std::size_t loaded_given_ = 0;
  // Behind that:
  std::uint64_t block_at_ = 0;  // where the block begins
  std::string block_;           // as it was last read
  std::size_t valid_ = 0;       // so much of it is valid
  std::size_t given_ = 0;       // and was given
};

class EmptyFile final : public rocksdb::FSSequentialFile {
 public:
  IOStatus Read(std::size_t, const IOOptions&, rocksdb::Slice* result, char*,
                IODebugContext*) override {
    *result = {};
    return IOStatus::OK();
  }
  IOStatus Skip(std::uint64_t) override { return IOStatus::OK(); }
};

enum class Wals : std::uint8_t { loaded, followed, none };

class FilesAs : public rocksdb::FileSystemWrapper {
 public:
  FilesAs(rocksdb::Env* env, Wals wals)
      : rocksdb::FileSystemWrapper((env ? env : rocksdb::Env::Default())->GetFileSystem()),
        wals_(wals) {}

  const char* Name() const override { return "contactd.wals"; }

  void show_as(Wals wals) { wals_ = wals; }

  IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result,
                             IODebugContext* context) override {
    const auto number = wal_number_of(name);
    if (!number) return target()->NewSequentialFile(name, options, result, context);
    const Wals wals = wals_;
    if (wals == Wals::none) {
      *result = std::make_unique<EmptyFile>();
      return IOStatus::OK();
    }
    std::unique_ptr<rocksdb::FSRandomAccessFile> file;
    IOStatus status = target()->NewRandomAccessFile(name, options, &file, context);
    if (!status.ok()) return status;
    auto records = std::make_unique<WholeRecords>(std::move(file), *number);
    if (wals == Wals::loaded) status = records->load();
    if (status.ok()) *result = std::move(records);
    return status;
  }

 private:
  std::atomic<Wals> wals_;
};

}  // namespace

// A WAL's name is on the disk before the manifest may tell of it: RocksDB itself syncs the
// directory only with the first record.
class WalFiles::Files final : public FilesAs {
 public:
  using FilesAs::FilesAs;

  IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* result,
                           IODebugContext* context) override {
    return made(name, target()->NewWritableFile(name, options, result, context), context);
  }
  IOStatus ReuseWritableFile(const std::string& name, const std::string& old_name,
                             const rocksdb::FileOptions& options,
                             std::unique_ptr<rocksdb::FSWritableFile>* result,
                             IODebugContext* context) override {
    return made(name, target()->ReuseWritableFile(name, old_name, options, result, context),
                context);
  }

 private:
  IOStatus made(const std::string& name, IOStatus status, IODebugContext* context) {
    if (!status.ok() || !wal_number_of(name)) return status;
    std::unique_ptr<rocksdb::FSDirectory> directory;
    status = target()->NewDirectory(std::filesystem::path{name}.parent_path().string(), {},
                                    &directory, context);
    return status.ok() ? directory->Fsync({}, context) : status;
  }
};

WalFiles::WalFiles(rocksdb::Env* env)
    : files_(std::make_shared<Files>(env, Wals::loaded)), env_(rocksdb::NewCompositeEnv(files_)) {}

WalFiles::~WalFiles() = default;

void WalFiles::show() { files_->show_as(Wals::loaded); }

void WalFiles::hide() { files_->show_as(Wals::none); }

std::unique_ptr<rocksdb::Env> following_wals(rocksdb::Env* env) {
  return rocksdb::NewCompositeEnv(std::make_shared<FilesAs>(env, Wals::followed));
}

std::unique_ptr<rocksdb::Env> reading_no_wals(rocksdb::Env* env) {
  return rocksdb::NewCompositeEnv(std::make_shared<FilesAs>(env, Wals::none));
}

}  // namespace contactd::infra
