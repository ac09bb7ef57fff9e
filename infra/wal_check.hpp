#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace contactd::infra {

// Records that a log's write-ahead logs don't have in a readable form, and that something follows
// which was written later.
struct WalGap {
  std::filesystem::path file;  // where that begins, as far as can be told
  std::uint64_t byte = 0;
  std::uint64_t last_offset = 0;  // of the last one that is missing
};

// Looks for damage in the write-ahead logs (WALs) of the embedded log's database, which writes its
// offsets one after the other, and syncs each write before it begins the next. RocksDB reads a WAL
// up to the first record that is damaged, because a write that was under way when the power went
// looks like that, and forgets what follows. But nothing follows such a write; where something
// does, it has a higher offset than comes next, and records were acknowledged that RocksDB would
// drop.
//
// What is in a table needs no WAL, but isn't known here: so the record before the WALs' first is
// always a gap, and a gap is damage only if the tables, looked at afterwards, end before its last
// record. What can't be told: damage of the very last write.
//
// May be called beside the process that writes. Throws StoreUnavailable if a file can't be read.
std::vector<WalGap> find_wal_gaps(const std::filesystem::path& directory);

}  // namespace contactd::infra
