#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace contactd::infra {

// Records that a log's write-ahead logs had, and don't have in a readable form any more.
struct WalGap {
  std::filesystem::path file;  // where that begins, as far as can be told
  std::uint64_t byte = 0;
  std::uint64_t first_offset = 0;  // the last records that are missing, one at least
  std::uint64_t last_offset = 0;
};

// Looks for damage in the write-ahead logs (WALs) of the embedded log's database, which writes its
// offsets one after the other, and syncs each write before it begins the next. RocksDB reads a WAL
// up to the first record that is damaged, because a write that was under way when the power went
// looks like that, and forgets what follows. But nothing follows such a write; where something
// does, it has a higher offset than comes next, and records were acknowledged that RocksDB would
// drop.
//
// Which of them are in a table since, and not needed in a WAL, isn't known here. What can't be
// told: damage of the very last write. May be called beside the process that writes. Throws
// StoreUnavailable if a file can't be read.
std::vector<WalGap> find_wal_gaps(const std::filesystem::path& directory);

}  // namespace contactd::infra
