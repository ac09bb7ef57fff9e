#include "tests/simulation/disk.hpp"

#include <algorithm>
#include <fstream>
#include <limits>

namespace contactd::test {
namespace {

using rocksdb::IOStatus;

// What a disk writes at once: a torn write keeps some of its sectors.
constexpr std::size_t sector_bytes = 512;

std::string normal(const std::string& path) {
  std::string out;
  for (const char byte : path) {
    if (byte != '/' || out.empty() || out.back() != '/') out += byte;
  }
  while (out.size() > 1 && out.back() == '/') out.pop_back();
  return out;
}

std::string directory_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

void place(std::string& content, std::uint64_t at, std::string_view bytes) {
  if (content.size() < at + bytes.size()) content.resize(at + bytes.size());
  content.replace(at, bytes.size(), bytes);
}

// Debian's RocksDB is built with assertions, and one of them ends the process where a table that is
// to be ingested was written and can't be read again.
bool may_fail_to_be_read(const std::string& name) {
  return name.find("/folded-") == std::string::npos;
}

struct Lock final : rocksdb::FileLock {
  explicit Lock(std::string of) : name(std::move(of)) {}
  std::string name;
};

}  // namespace

// ---- files --------------------------------------------------------------------------------------

void SimulatedDisk::Node::write(std::uint64_t at, std::string_view bytes) {
  place(content, at, bytes);
  unsynced.push_back({at, std::string{bytes}});
}

void SimulatedDisk::Node::sync() {
  for (const Write& write : unsynced) place(durable, write.at, write.bytes);
  unsynced.clear();
}

void SimulatedDisk::Node::lose_power(Random& random, Losses& losses) {
  // The disk may have kept the first writes; and of the one after them some sectors.
  const std::size_t kept = random.below(unsynced.size() + 1);
  for (std::size_t i = 0; i < unsynced.size(); ++i) {
    const Write& write = unsynced[i];
    if (i < kept) {
      place(durable, write.at, write.bytes);
      ++losses.kept;
      continue;
    }
    if (i > kept || random.one_in(2)) {
      ++losses.lost;
      continue;
    }
    ++losses.torn;
    for (std::size_t at = 0; at < write.bytes.size(); at += sector_bytes) {
      if (random.one_in(3)) continue;
      const std::string_view sector = std::string_view{write.bytes}.substr(at, sector_bytes);
      place(durable, write.at + at, sector.substr(0, 1 + random.below(sector.size())));
    }
  }
  unsynced.clear();
  content = durable;
}

class SimulatedDisk::Reader final : public rocksdb::FSSequentialFile,
                                    public rocksdb::FSRandomAccessFile {
 public:
  Reader(SimulatedDisk& disk, NodePtr node, bool fails)
      : disk_(disk), node_(std::move(node)), fails_(fails) {}

  IOStatus Read(std::size_t count, const Options&, rocksdb::Slice* result, char* scratch,
                Debug*) override {
    const IOStatus status = disk_.read(*node_, fails_, at_, count, result, scratch);
    if (status.ok()) at_ += result->size();
    return status;
  }
  IOStatus Skip(std::uint64_t count) override {
    at_ += count;
    return IOStatus::OK();
  }
  IOStatus Read(std::uint64_t from, std::size_t count, const Options&, rocksdb::Slice* result,
                char* scratch, Debug*) const override {
    return disk_.read(*node_, fails_, from, count, result, scratch);
  }
  // Both bases have these.
  bool use_direct_io() const override { return false; }
  std::size_t GetRequiredBufferAlignment() const override { return 1; }
  IOStatus InvalidateCache(std::size_t, std::size_t) override { return IOStatus::OK(); }
  rocksdb::Temperature GetTemperature() const override { return rocksdb::Temperature::kUnknown; }

 private:
  SimulatedDisk& disk_;
  const NodePtr node_;
  const bool fails_;
  std::uint64_t at_ = 0;
};

class SimulatedDisk::Writer final : public rocksdb::FSWritableFile {
 public:
  Writer(SimulatedDisk& disk, NodePtr node, std::string path, std::uint64_t at)
      : disk_(disk), node_(std::move(node)), path_(std::move(path)), at_(at) {}

  using FSWritableFile::Append;
  using FSWritableFile::PositionedAppend;
  IOStatus Append(const rocksdb::Slice& bytes, const Options&, Debug*) override {
    IOStatus status = disk_.append(*node_, at_, bytes);
    if (status.ok()) at_ += bytes.size();
    return status;
  }
  IOStatus PositionedAppend(const rocksdb::Slice& bytes, std::uint64_t at, const Options&,
                            Debug*) override {
    return disk_.append(*node_, at, bytes);
  }
  IOStatus Truncate(std::uint64_t, const Options&, Debug*) override { return IOStatus::OK(); }
  IOStatus Close(const Options&, Debug*) override { return IOStatus::OK(); }
  IOStatus Flush(const Options&, Debug*) override { return IOStatus::OK(); }
  IOStatus Sync(const Options&, Debug*) override { return disk_.sync_file(*node_, path_); }
  bool IsSyncThreadSafe() const override { return true; }
  std::uint64_t GetFileSize(const Options&, Debug*) override { return at_; }

 private:
  SimulatedDisk& disk_;
  const NodePtr node_;
  const std::string path_;
  std::uint64_t at_;
};

class SimulatedDisk::Directory final : public rocksdb::FSDirectory {
 public:
  Directory(SimulatedDisk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
  IOStatus Fsync(const Options&, Debug*) override { return disk_.sync_directory(path_); }
  IOStatus Close(const Options&, Debug*) override { return IOStatus::OK(); }

 private:
  SimulatedDisk& disk_;
  const std::string path_;
};

// ---- faults -------------------------------------------------------------------------------------

SimulatedDisk::SimulatedDisk()
    : rocksdb::FileSystemWrapper(rocksdb::FileSystem::Default()),
      env_(rocksdb::NewCompositeEnv(
          // The environment is a member: it must not own what owns it.
          std::shared_ptr<rocksdb::FileSystem>{std::shared_ptr<void>{}, this})) {}

void SimulatedDisk::count_from_here() {
  const std::lock_guard lock{mutex_};
  operations_ = 0;
}

std::uint64_t SimulatedDisk::operations() const {
  const std::lock_guard lock{mutex_};
  return operations_;
}

void SimulatedDisk::fail(std::uint64_t operation, std::uint64_t more, IOStatus error) {
  const std::lock_guard lock{mutex_};
  fails_from_ = operation;
  fails_to_ = operation + more;
  failure_ = std::move(error);
  power_off_next_ = false;
}

void SimulatedDisk::cut_power(std::uint64_t operation) {
  fail(operation, std::numeric_limits<std::uint64_t>::max() - operation,
       IOStatus::IOError("the power is off"));
  const std::lock_guard lock{mutex_};
  power_off_next_ = true;
}

void SimulatedDisk::lie_about_syncs(bool lie) {
  const std::lock_guard lock{mutex_};
  lies_ = lie;
}

void SimulatedDisk::on_failed_sync(OnFailedSync on_failed_sync) {
  const std::lock_guard lock{mutex_};
  on_failed_sync_ = std::move(on_failed_sync);
}

SimulatedDisk::Losses SimulatedDisk::restore_power(Random& random) {
  const std::lock_guard lock{mutex_};
  Losses losses;
  // Names are kept in the order in which they were changed, as by a file system's journal.
  const std::size_t kept = random.below(unsynced_names_.size() + 1);
  for (std::size_t i = 0; i < kept; ++i) apply(durable_names_, unsynced_names_[i]);
  losses.names_lost = unsynced_names_.size() - kept;
  unsynced_names_.clear();
  names_ = durable_names_;
  std::vector<Node*> seen;
  for (const auto& [name, node] : names_) {
    if (std::find(seen.begin(), seen.end(), node.get()) != seen.end()) continue;
    seen.push_back(node.get());
    node->lose_power(random, losses);
  }
  fails_from_ = 0;
  power_off_next_ = false;
  locked_.clear();
  return losses;
}

void SimulatedDisk::copy_to(const std::filesystem::path& target,
                            const std::string& directory) const {
  const std::lock_guard lock{mutex_};
  for (const auto& [name, node] : names_) {
    if (directory_of(name) != normal(directory)) continue;
    std::ofstream file{target / name.substr(name.rfind('/') + 1), std::ios::binary};
    file << node->content;
  }
}

IOStatus SimulatedDisk::begin_operation() {
  ++operations_;
  if (fails_from_ == 0 || operations_ < fails_from_ || operations_ > fails_to_) {
    return IOStatus::OK();
  }
  return failure_;
}

IOStatus SimulatedDisk::begin_sync(const std::string& path) {
  IOStatus status = begin_operation();
  if (!status.ok() && !power_off_next_ && on_failed_sync_) on_failed_sync_(path);
  return status;
}

IOStatus SimulatedDisk::find(const std::string& name, NodePtr* node) {
  const auto found = names_.find(normal(name));
  if (found == names_.end()) return IOStatus::PathNotFound(name);
  *node = found->second;
  return IOStatus::OK();
}

IOStatus SimulatedDisk::find_as_operation(const std::string& name, NodePtr* node) {
  IOStatus status = begin_operation();
  return status.ok() ? find(name, node) : status;
}

void SimulatedDisk::set_name(const std::string& name, NodePtr node) {
  unsynced_names_.push_back({normal(name), std::move(node)});
  apply(names_, unsynced_names_.back());
}

void SimulatedDisk::apply(std::map<std::string, NodePtr>& names, const NameChange& change) {
  if (change.node == nullptr) {
    names.erase(change.name);
  } else {
    names[change.name] = change.node;
  }
}

IOStatus SimulatedDisk::append(Node& node, std::uint64_t at, const rocksdb::Slice& bytes) {
  const std::lock_guard lock{mutex_};
  IOStatus status = begin_operation();
  // A write during which the power goes, or the disk fills up, may have happened in part.
  if (status.ok()) {
    node.write(at, {bytes.data(), bytes.size()});
  } else if (operations_ == fails_from_) {
    node.write(at, {bytes.data(), bytes.size() / 2});
  }
  return status;
}

IOStatus SimulatedDisk::sync_file(Node& node, const std::string& path) {
  const std::lock_guard lock{mutex_};
  IOStatus status = begin_sync(path);
  if (status.ok() && !lies_) node.sync();
  return status;
}

IOStatus SimulatedDisk::sync_directory(const std::string& path) {
  const std::lock_guard lock{mutex_};
  IOStatus status = begin_sync(path);
  if (!status.ok() || lies_) return status;
  std::erase_if(unsynced_names_, [&](const NameChange& change) {
    if (directory_of(change.name) != path) return false;
    apply(durable_names_, change);
    return true;
  });
  return status;
}

IOStatus SimulatedDisk::read(const Node& node, bool fails, std::uint64_t from, std::size_t count,
                             rocksdb::Slice* result, char* scratch) {
  const std::lock_guard lock{mutex_};
  if (fails) {
    if (IOStatus status = begin_operation(); !status.ok()) return status;
  }
  const std::size_t begin = std::min<std::size_t>(from, node.content.size());
  const std::size_t size = std::min(count, node.content.size() - begin);
  node.content.copy(scratch, size, begin);
  *result = {scratch, size};
  return IOStatus::OK();
}

// ---- rocksdb::FileSystem ------------------------------------------------------------------------

IOStatus SimulatedDisk::NewSequentialFile(const std::string& name, const rocksdb::FileOptions&,
                                          std::unique_ptr<rocksdb::FSSequentialFile>* result,
                                          Debug*) {
  const std::lock_guard lock{mutex_};
  NodePtr node;
  IOStatus status = find_as_operation(name, &node);
  if (status.ok()) *result = std::make_unique<Reader>(*this, node, may_fail_to_be_read(name));
  return status;
}

IOStatus SimulatedDisk::NewRandomAccessFile(const std::string& name, const rocksdb::FileOptions&,
                                            std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                            Debug*) {
  const std::lock_guard lock{mutex_};
  NodePtr node;
  IOStatus status = find_as_operation(name, &node);
  if (status.ok()) *result = std::make_unique<Reader>(*this, node, may_fail_to_be_read(name));
  return status;
}

IOStatus SimulatedDisk::NewWritableFile(const std::string& name, const rocksdb::FileOptions&,
                                        std::unique_ptr<rocksdb::FSWritableFile>* result, Debug*) {
  const std::lock_guard lock{mutex_};
  if (IOStatus status = begin_operation(); !status.ok()) return status;
  const auto node = std::make_shared<Node>();
  set_name(name, node);
  *result = std::make_unique<Writer>(*this, node, normal(name), 0);
  return IOStatus::OK();
}

IOStatus SimulatedDisk::ReopenWritableFile(const std::string& name, const rocksdb::FileOptions&,
                                           std::unique_ptr<rocksdb::FSWritableFile>* result,
                                           Debug*) {
  const std::lock_guard lock{mutex_};
  NodePtr node;
  IOStatus status = find_as_operation(name, &node);
  if (status.ok()) {
    *result = std::make_unique<Writer>(*this, node, normal(name), node->content.size());
  }
  return status;
}

// As an operating system does it: the old bytes stay until they are written over.
IOStatus SimulatedDisk::ReuseWritableFile(const std::string& name, const std::string& old_name,
                                          const rocksdb::FileOptions&,
                                          std::unique_ptr<rocksdb::FSWritableFile>* result,
                                          Debug*) {
  const std::lock_guard lock{mutex_};
  NodePtr node;
  IOStatus status = find_as_operation(old_name, &node);
  if (!status.ok()) return status;
  set_name(old_name, nullptr);
  set_name(name, node);
  *result = std::make_unique<Writer>(*this, node, normal(name), 0);
  return status;
}

IOStatus SimulatedDisk::NewRandomRWFile(const std::string&, const rocksdb::FileOptions&,
                                        std::unique_ptr<rocksdb::FSRandomRWFile>*, Debug*) {
  return IOStatus::NotSupported("files are read or appended to");
}

IOStatus SimulatedDisk::NewDirectory(const std::string& name, const Options&,
                                     std::unique_ptr<rocksdb::FSDirectory>* result, Debug*) {
  *result = std::make_unique<Directory>(*this, normal(name));
  return IOStatus::OK();
}

IOStatus SimulatedDisk::FileExists(const std::string& name, const Options&, Debug*) {
  const std::lock_guard lock{mutex_};
  NodePtr node;
  IOStatus status = begin_operation();
  if (!status.ok()) return status;
  return find(name, &node).ok() ? IOStatus::OK() : IOStatus::NotFound(name);
}

IOStatus SimulatedDisk::GetChildren(const std::string& directory, const Options&,
                                    std::vector<std::string>* result, Debug*) {
  const std::lock_guard lock{mutex_};
  if (IOStatus status = begin_operation(); !status.ok()) return status;
  result->clear();
  const std::string of = normal(directory);
  for (const auto& [name, node] : names_) {
    if (directory_of(name) == of) result->push_back(name.substr(of.size() + 1));
  }
  return IOStatus::OK();
}

IOStatus SimulatedDisk::DeleteFile(const std::string& name, const Options&, Debug*) {
  const std::lock_guard lock{mutex_};
  NodePtr node;
  IOStatus status = find_as_operation(name, &node);
  if (status.ok()) set_name(name, nullptr);
  return status;
}

IOStatus SimulatedDisk::GetFileSize(const std::string& name, const Options&, std::uint64_t* size,
                                    Debug*) {
  const std::lock_guard lock{mutex_};
  NodePtr node;
  IOStatus status = find_as_operation(name, &node);
  if (status.ok()) *size = node->content.size();
  return status;
}

IOStatus SimulatedDisk::GetFileModificationTime(const std::string&, const Options&,
                                                std::uint64_t* time, Debug*) {
  *time = 0;
  return IOStatus::OK();
}

IOStatus SimulatedDisk::RenameFile(const std::string& from, const std::string& to, const Options&,
                                   Debug*) {
  const std::lock_guard lock{mutex_};
  NodePtr node;
  IOStatus status = find_as_operation(from, &node);
  if (!status.ok()) return status;
  set_name(to, node);
  set_name(from, nullptr);
  return status;
}

IOStatus SimulatedDisk::LinkFile(const std::string& from, const std::string& to, const Options&,
                                 Debug*) {
  const std::lock_guard lock{mutex_};
  NodePtr node;
  IOStatus status = find_as_operation(from, &node);
  if (status.ok()) set_name(to, node);
  return status;
}

IOStatus SimulatedDisk::NumFileLinks(const std::string& name, const Options&, std::uint64_t* count,
                                     Debug*) {
  const std::lock_guard lock{mutex_};
  NodePtr node;
  IOStatus status = find(name, &node);
  *count = static_cast<std::uint64_t>(std::count_if(
      names_.begin(), names_.end(), [&](const auto& entry) { return entry.second == node; }));
  return status;
}

IOStatus SimulatedDisk::AreFilesSame(const std::string& a, const std::string& b, const Options&,
                                     bool* same, Debug*) {
  const std::lock_guard lock{mutex_};
  NodePtr of_a;
  NodePtr of_b;
  IOStatus status = find(a, &of_a);
  if (status.ok()) status = find(b, &of_b);
  *same = of_a == of_b;
  return status;
}

IOStatus SimulatedDisk::LockFile(const std::string& name, const Options&, rocksdb::FileLock** lock,
                                 Debug*) {
  const std::lock_guard guard{mutex_};
  if (IOStatus status = begin_operation(); !status.ok()) return status;
  if (std::exchange(locked_[normal(name)], true)) return IOStatus::IOError("is locked: " + name);
  *lock = new Lock{normal(name)};  // RocksDB gives it back to UnlockFile()
  return IOStatus::OK();
}

IOStatus SimulatedDisk::UnlockFile(rocksdb::FileLock* lock, const Options&, Debug*) {
  const std::lock_guard guard{mutex_};
  const std::unique_ptr<Lock> ours{dynamic_cast<Lock*>(lock)};
  locked_[ours->name] = false;
  return IOStatus::OK();
}

IOStatus SimulatedDisk::GetAbsolutePath(const std::string& path, const Options&,
                                        std::string* result, Debug*) {
  *result = path;
  return IOStatus::OK();
}

IOStatus SimulatedDisk::GetFreeSpace(const std::string&, const Options&, std::uint64_t* bytes,
                                     Debug*) {
  *bytes = std::uint64_t{1} << 40U;
  return IOStatus::OK();
}

IOStatus SimulatedDisk::IsDirectory(const std::string&, const Options&, bool* is, Debug*) {
  *is = false;
  return IOStatus::OK();
}

}  // namespace contactd::test
