#include "infra/sorted_files.hpp"

#include <rocksdb/sst_file_writer.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "infra/errors.hpp"

namespace contactd::infra {
namespace {

using projections::Table;
using projections::table_count;

// Files that compaction has not merged yet; each costs every look-up.
constexpr std::uint64_t unmerged_files_max = 24;
constexpr std::chrono::milliseconds compaction_check_interval{20};
constexpr std::chrono::minutes compaction_wait_max{1};
constexpr std::string_view file_prefix = "folded-";

// Of a file that is about to be merged: compressed it would be twice the work.
rocksdb::Options file_options(const RocksDb& db, Table table) {
  rocksdb::Options options = db->GetOptions(db.family(static_cast<std::size_t>(table)));
  options.compression_per_level.clear();
  options.compression = rocksdb::kNoCompression;
  return options;
}

std::string new_path(const RocksDb& db) {
  return db->GetName() + '/' + std::string{file_prefix} + std::to_string(db.next_file_number()) +
         ".sst";
}

}  // namespace

SortedFiles::~SortedFiles() {
  for (const auto& paths : paths_) {
    for (const std::string& path : paths) db_->GetEnv()->DeleteFile(path).PermitUncheckedError();
  }
}

SortedFiles::Writer::Writer(const RocksDb& db, Table table, const std::string& path)
    : writer_(std::make_unique<rocksdb::SstFileWriter>(
          rocksdb::EnvOptions{file_options(db, table)}, file_options(db, table),
          db.family(static_cast<std::size_t>(table)), /*invalidate_page_cache=*/false,
          rocksdb::Env::IO_LOW)) {
  require_ok(writer_->Open(path));
}

SortedFiles::Writer::~Writer() = default;

void SortedFiles::Writer::remove_range(std::string_view begin, std::string_view end) {
  require_ok(writer_->DeleteRange(slice(begin), slice(end)));
}

void SortedFiles::Writer::put(std::string_view key, std::string_view row) {
  require_ok(writer_->Put(slice(key), slice(row)));
}

void SortedFiles::Writer::remove(std::string_view key) { require_ok(writer_->Delete(slice(key))); }

void SortedFiles::Writer::finish() { require_ok(writer_->Finish()); }

SortedFiles::Writer SortedFiles::add(Table table) {
  auto& paths = paths_[static_cast<std::size_t>(table)];
  paths.push_back(new_path(db_));
  return Writer{db_, table, paths.back()};
}

void SortedFiles::ingest() {
  std::vector<rocksdb::IngestExternalFileArg> files;
  for (std::size_t i = 0; i < table_count; ++i) {
    if (paths_[i].empty()) continue;
    rocksdb::IngestExternalFileArg& one = files.emplace_back();
    one.column_family = db_.family(i);
    one.external_files = paths_[i];
    one.options.move_files = true;
    one.options.write_global_seqno = false;
  }
  if (files.empty()) return;
  require_ok(db_->IngestExternalFiles(files));
  for (auto& paths : paths_) paths.clear();
}

void remove_leftovers(const RocksDb& db) {
  std::vector<std::string> files;
  db->GetEnv()->GetChildren(db->GetName(), &files).PermitUncheckedError();
  for (const std::string& file : files) {
    if (!file.starts_with(file_prefix)) continue;
    db->GetEnv()->DeleteFile(db->GetName() + '/' + file).PermitUncheckedError();
  }
}

void wait_for_compaction(const RocksDb& db, const std::stop_token& stop) {
  const auto unmerged = [&] {
    std::uint64_t most = 0;
    for (auto* family : db.families()) {
      std::string files;
      db->GetProperty(family, "rocksdb.num-files-at-level0", &files);
      most = std::max<std::uint64_t>(most, files.empty() ? 0 : std::stoull(files));
    }
    return most;
  };
  const auto patience_ends = std::chrono::steady_clock::now() + compaction_wait_max;
  while (unmerged() >= unmerged_files_max && !stop.stop_requested() &&
         std::chrono::steady_clock::now() < patience_ends) {
    std::this_thread::sleep_for(compaction_check_interval);
  }
}

}  // namespace contactd::infra
