#include "infra/store_audit.hpp"

#include <algorithm>
#include <vector>

#include "infra/directory_lock.hpp"
#include "infra/errors.hpp"
#include "infra/fold_log.hpp"
#include "infra/rocksdb_open.hpp"

namespace contactd::infra {
namespace {

using projections::Table;
using projections::table_count;

constexpr std::size_t rows_at_once = 4096;
constexpr std::size_t bytes_shown_max = 200;

void require_sound_files(const std::filesystem::path& directory) {
  try {
    RocksDb::check_files(directory);
  } catch (const StoreUnavailable& problem) {
    throw StoreUnavailable("the projections are damaged: " + std::string{problem.what()} +
                           "; remove the directory: it is then made anew from the log");
  }
}

std::string shown(std::string_view bytes) {
  constexpr std::string_view hex = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes.substr(0, bytes_shown_max)) {
    const auto code = static_cast<unsigned char>(byte);
    if (code >= 0x20 && code < 0x7F) {
      text += byte;
    } else {
      text += {'\\', 'x', hex[code >> 4U], hex[code & 0x0FU]};
    }
  }
  return bytes.size() > bytes_shown_max ? text + "..." : text;
}

// The rows of a table, in order, some at a time.
class Rows {
 public:
  Rows(const ReadStore& store, Table table) : store_(store), table_(table) { fill(); }

  bool at_end() const { return next_ == rows_.size(); }
  const std::string& key() const { return rows_[next_].first; }
  const std::string& value() const { return rows_[next_].second; }
  void advance() {
    if (++next_ < rows_.size()) return;
    from_ = rows_.back().first + '\0';
    fill();
  }

 private:
  void fill() {
    // No key has such bytes: their parts are text, and numbers that are small.
    static const std::string end(64, '\xFF');
    rows_.clear();
    next_ = 0;
    store_.visit_range(table_, from_, end, [this](std::string_view key, std::string_view value) {
      rows_.emplace_back(key, value);
      return rows_.size() < rows_at_once;
    });
  }

  const ReadStore& store_;
  const Table table_;
  std::string from_;
  std::vector<std::pair<std::string, std::string>> rows_;
  std::size_t next_ = 0;
};

std::optional<std::string> difference_at(Table table, const Rows& live, const Rows& replayed) {
  const std::string in = "table " + std::string{projections::name_of(table)} + ", key '";
  if (replayed.at_end() || (!live.at_end() && live.key() < replayed.key())) {
    return in + shown(live.key()) + "': there is '" + shown(live.value()) +
           "', of which the log says nothing";
  }
  if (live.at_end() || replayed.key() < live.key()) {
    return in + shown(replayed.key()) + "': there is nothing, and by the log it is '" +
           shown(replayed.value()) + '\'';
  }
  if (live.value() == replayed.value()) return std::nullopt;
  return in + shown(live.key()) + "': there is '" + shown(live.value()) +
         "', and by the log it is '" + shown(replayed.value()) + '\'';
}

}  // namespace

std::unique_ptr<ReadStore> open_store_for_audit(const std::filesystem::path& directory) {
  if (!std::filesystem::exists(directory / "CURRENT")) {
    throw StoreUnavailable("there are no projections in " + directory.string());
  }
  if (is_written_to(directory)) {
    throw StoreUnavailable("another contactd runs on " + directory.string() +
                           "; stop it first, or look at the log alone with --log-only");
  }
  const ReadLock lock{directory};
  require_sound_files(directory);
  return open_existing_read_store(directory);
}

void replay_for_audit(LogReader& log, const ReadStore& live, ReadStore& replayed,
                      const OnReplayed& on_progress) {
  std::uint64_t before = 0;
  for (std::uint32_t partition = 0; partition < log.partition_count(); ++partition) {
    const std::uint64_t end = live.checkpoint(partition).next_offset;
    if (log.end_offset(partition) < end) {
      throw LogUnavailable("the projections have folded " + std::to_string(end) +
                           " records of partition " + std::to_string(partition) +
                           ", but the log ends at offset " +
                           std::to_string(log.end_offset(partition)) + ": it has lost records");
    }
    fold_log_to(log, partition, replayed, end,
                [&](std::uint64_t offset) { on_progress(before + offset); });
    before += end;
  }
  replayed.flush();
}

Comparison compare(const ReadStore& live, const ReadStore& replayed,
                   const std::function<void()>& look) {
  Comparison result;
  for (std::size_t i = 0; i < table_count && !result.difference; ++i) {
    const auto table = static_cast<Table>(i);
    Rows ours{live, table};
    Rows theirs{replayed, table};
    for (; !ours.at_end() || !theirs.at_end(); ours.advance(), theirs.advance(), ++result.rows) {
      if (result.rows % rows_at_once == 0) look();
      result.difference = difference_at(table, ours, theirs);
      if (result.difference) break;
    }
  }
  return result;
}

}  // namespace contactd::infra
