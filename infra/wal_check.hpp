#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace contactd::infra {

// A place in a write-ahead log of RocksDB that isn't as it was written, though something is behind
// it that was written later.
struct WalDamage {
  std::filesystem::path file;
  std::uint64_t byte = 0;
  std::uint64_t sequence = 0;  // RocksDB's number of a write that is behind it
};

// Looks for damage in the write-ahead logs of a database which syncs each write before it begins
// the next one. RocksDB reads such a log up to the first record that is damaged, because a write
// that was under way when the power went looks like that, and forgets what follows. But nothing
// follows such a write; where something does, writes were acknowledged that RocksDB would drop.
//
// What can't be told: damage of the very last write.
// Throws StoreUnavailable if a file can't be read.
std::optional<WalDamage> find_wal_damage(const std::filesystem::path& directory);

}  // namespace contactd::infra
