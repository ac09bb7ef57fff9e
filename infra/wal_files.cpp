#include "infra/wal_files.hpp"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <algorithm>
#include <cstring>
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

  IOStatus Read(std::size_t count, const IOOptions& options, rocksdb::Slice* result, char* scratch,
                IODebugContext* context) override {
    std::size_t given = 0;
    while (given < count) {
      if (given_ == valid_) {
        const IOStatus status = extend(options, context);
        if (!status.ok()) return status;
        if (given_ == valid_) break;
      }
      const std::size_t part = std::min(count - given, valid_ - given_);
      std::memcpy(scratch + given, block_.data() + given_, part);
      given += part;
      given_ += part;
    }
    *result = rocksdb::Slice{scratch, given};
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

  // How many bytes it has.
  IOStatus measure(std::uint64_t& bytes) {
    std::string passed(wal_block_bytes, '\0');
    rocksdb::Slice part;
    bytes = 0;
    for (;;) {
      const IOStatus status = Read(passed.size(), {}, &part, passed.data(), nullptr);
      bytes += part.size();
      if (!status.ok() || part.empty()) return status;
    }
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
    IOStatus status = load(options, context);
    if (status.ok()) take_record();
    return status;
  }

  IOStatus load(const IOOptions& options, IODebugContext* context) {
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
  std::uint64_t block_at_ = 0;  // where the block begins
  std::string block_;           // as it was last read
  std::size_t valid_ = 0;       // so much of it is valid
  std::size_t given_ = 0;       // and was given
};

class WholeWals final : public rocksdb::FileSystemWrapper {
 public:
  explicit WholeWals(const std::shared_ptr<rocksdb::FileSystem>& files)
      : rocksdb::FileSystemWrapper(files) {}

  const char* Name() const override { return "contactd.whole-wals"; }

  IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions& options,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result,
                             IODebugContext* context) override {
    const auto number = wal_number_of(name);
    if (!number) return target()->NewSequentialFile(name, options, result, context);
    std::unique_ptr<WholeRecords> records;
    const IOStatus status = open(name, *number, options, records, context);
    *result = std::move(records);
    return status;
  }

  IOStatus GetFileSize(const std::string& name, const IOOptions& options, std::uint64_t* size,
                       IODebugContext* context) override {
    const auto number = wal_number_of(name);
    if (!number) return target()->GetFileSize(name, options, size, context);
    std::unique_ptr<WholeRecords> records;
    const IOStatus status = open(name, *number, {}, records, context);
    return status.ok() ? records->measure(*size) : status;
  }

 private:
  IOStatus open(const std::string& name, std::uint32_t number, const rocksdb::FileOptions& options,
                std::unique_ptr<WholeRecords>& records, IODebugContext* context) {
    std::unique_ptr<rocksdb::FSRandomAccessFile> file;
    IOStatus status = target()->NewRandomAccessFile(name, options, &file, context);
    if (status.ok()) records = std::make_unique<WholeRecords>(std::move(file), number);
    return status;
  }
};

}  // namespace

std::unique_ptr<rocksdb::Env> reading_whole_wals(rocksdb::Env* env) {
  if (env == nullptr) env = rocksdb::Env::Default();
  return rocksdb::NewCompositeEnv(std::make_shared<WholeWals>(env->GetFileSystem()));
}

}  // namespace contactd::infra
