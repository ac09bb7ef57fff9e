#pragma once

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/domain/samples.hpp"

namespace contactd::test {

// A disk in memory for RocksDB, which keeps apart what was synced from what was only written: a
// file's bytes are durable once the file was synced, its name (a new one, a rename, a removal) once
// the directory was. A power cut takes what isn't durable, or a part of it.
//
// Threads: any.
class SimulatedDisk final : public rocksdb::FileSystemWrapper {
 public:
  SimulatedDisk();

  // What RocksDB is given; lives as long as the disk.
  rocksdb::Env* env() const { return env_.get(); }
  // RocksDB asks for it under this name.
  static const char* kClassName() {  // NOLINT(readability-identifier-naming)
    return "SimulatedDisk";
  }
  const char* Name() const override { return kClassName(); }

  // From here on, the number of operations; a fault names one of them, the first being 1.
  void count_from_here();
  std::uint64_t operations() const;

  // The operation fails, and so do the `more` that follow it.
  void fail(std::uint64_t operation, std::uint64_t more, rocksdb::IOStatus error);
  // The power goes in the middle of the operation: it and all later ones fail.
  void cut_power(std::uint64_t operation);
  // Syncs say that all is well and do nothing.
  void lie_about_syncs(bool lie);
  // Called, with the file's or directory's path, for each sync that fails; not by a power cut.
  using OnFailedSync = std::function<void(const std::string& path)>;
  void on_failed_sync(OnFailedSync on_failed_sync);

  // What became of the writes that were not synced when the power came back.
  struct Losses {
    std::uint64_t kept = 0;
    std::uint64_t torn = 0;
    std::uint64_t lost = 0;
    std::uint64_t names_lost = 0;  // creations, renames and removals undone
  };
  // The disk as it is found after a power cut; no more faults. REQUIRES: all files are closed.
  Losses restore_power(Random& random);

  // Copies the files of a directory to one of the machine's disk.
  void copy_to(const std::filesystem::path& target, const std::string& directory) const;

  // ---- rocksdb::FileSystem ----
  using Options = rocksdb::IOOptions;
  using Debug = rocksdb::IODebugContext;
  rocksdb::IOStatus NewSequentialFile(const std::string& name, const rocksdb::FileOptions&,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* result,
                                      Debug*) override;
  rocksdb::IOStatus NewRandomAccessFile(const std::string& name, const rocksdb::FileOptions&,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                                        Debug*) override;
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions&,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    Debug*) override;
  rocksdb::IOStatus ReopenWritableFile(const std::string& name, const rocksdb::FileOptions&,
                                       std::unique_ptr<rocksdb::FSWritableFile>* result,
                                       Debug*) override;
  rocksdb::IOStatus ReuseWritableFile(const std::string& name, const std::string& old_name,
                                      const rocksdb::FileOptions&,
                                      std::unique_ptr<rocksdb::FSWritableFile>* result,
                                      Debug*) override;
  rocksdb::IOStatus NewRandomRWFile(const std::string& name, const rocksdb::FileOptions&,
                                    std::unique_ptr<rocksdb::FSRandomRWFile>* result,
                                    Debug*) override;
  rocksdb::IOStatus NewDirectory(const std::string& name, const Options&,
                                 std::unique_ptr<rocksdb::FSDirectory>* result, Debug*) override;
  rocksdb::IOStatus FileExists(const std::string& name, const Options&, Debug*) override;
  rocksdb::IOStatus GetChildren(const std::string& directory, const Options&,
                                std::vector<std::string>* result, Debug*) override;
  rocksdb::IOStatus DeleteFile(const std::string& name, const Options&, Debug*) override;
  // A directory is there when it has a file.
  rocksdb::IOStatus CreateDir(const std::string&, const Options&, Debug*) override { return {}; }
  rocksdb::IOStatus CreateDirIfMissing(const std::string&, const Options&, Debug*) override {
    return {};
  }
  rocksdb::IOStatus DeleteDir(const std::string&, const Options&, Debug*) override { return {}; }
  rocksdb::IOStatus GetFileSize(const std::string& name, const Options&, std::uint64_t* size,
                                Debug*) override;
  rocksdb::IOStatus GetFileModificationTime(const std::string&, const Options&, std::uint64_t* time,
                                            Debug*) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to, const Options&,
                               Debug*) override;
  rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to, const Options&,
                             Debug*) override;
  rocksdb::IOStatus NumFileLinks(const std::string& name, const Options&, std::uint64_t* count,
                                 Debug*) override;
  rocksdb::IOStatus AreFilesSame(const std::string& a, const std::string& b, const Options&,
                                 bool* same, Debug*) override;
  rocksdb::IOStatus LockFile(const std::string& name, const Options&, rocksdb::FileLock** lock,
                             Debug*) override;
  rocksdb::IOStatus UnlockFile(rocksdb::FileLock* lock, const Options&, Debug*) override;
  rocksdb::IOStatus GetAbsolutePath(const std::string& path, const Options&, std::string* result,
                                    Debug*) override;
  rocksdb::IOStatus GetFreeSpace(const std::string&, const Options&, std::uint64_t* bytes,
                                 Debug*) override;
  rocksdb::IOStatus IsDirectory(const std::string& path, const Options&, bool* is, Debug*) override;

 private:
  struct Write {
    std::uint64_t at;
    std::string bytes;
  };
  // A file, under however many names.
  struct Node {
    std::string content;  // as it is read
    std::string durable;  // as it was when it was synced last
    std::vector<Write> unsynced;

    void write(std::uint64_t at, std::string_view bytes);
    void sync();
    void lose_power(Random& random, Losses& losses);
  };
  using NodePtr = std::shared_ptr<Node>;
  struct NameChange {
    std::string name;
    NodePtr node;  // null: removed
  };
  class Reader;
  class Writer;
  class Directory;

  // All with mutex_ held.
  rocksdb::IOStatus begin_operation();
  rocksdb::IOStatus begin_sync(const std::string& path);
  rocksdb::IOStatus find(const std::string& name, NodePtr* node);
  rocksdb::IOStatus find_as_operation(const std::string& name, NodePtr* node);
  void set_name(const std::string& name, NodePtr node);
  void apply(std::map<std::string, NodePtr>& names, const NameChange& change);

  rocksdb::IOStatus append(Node& node, std::uint64_t at, const rocksdb::Slice& bytes);
  rocksdb::IOStatus sync_file(Node& node, const std::string& path);
  rocksdb::IOStatus sync_directory(const std::string& path);
  rocksdb::IOStatus read(const Node& node, bool fails, std::uint64_t from, std::size_t count,
                         rocksdb::Slice* result, char* scratch);

  // Guarded by mutex_.
  mutable std::mutex mutex_;
  std::map<std::string, NodePtr> names_;
  std::map<std::string, NodePtr> durable_names_;
  std::vector<NameChange> unsynced_names_;  // in the order of their happening
  std::map<std::string, bool> locked_;
  std::uint64_t operations_ = 0;
  std::uint64_t fails_from_ = 0;  // 0: never
  std::uint64_t fails_to_ = 0;
  rocksdb::IOStatus failure_;
  bool power_off_next_ = false;
  bool lies_ = false;
  OnFailedSync on_failed_sync_;

  const std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace contactd::test
