#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>

#include "infra/embedded_event_log.hpp"
#include "infra/read_store.hpp"

// A backup is a directory:
//
//   projections/      the projections' database
//   projections.log   which log they are of
//   log/              the log's database, if that is the embedded one
//   manifest.json     the positions of both, and each file's size and SHA-256; written last, so
//                     that without it the backup isn't one
namespace contactd::infra {

// Told bytes done and in all.
using BytesProgress = std::function<void(std::uint64_t, std::uint64_t)>;

// Makes a backup in `directory`, which must not exist, while all goes on. The projections in it
// are of a moment before the log's: whatever they have folded, the log there has.
// `log` is null on Kafka, which keeps it; `log_identity` is what projections.log says.
// Returns false if it was stopped; nothing is left then.
// Throws StoreUnavailable, having removed what there was of it; also where a block of the copies
// isn't as it was written.
bool create_backup(ReadStore& store, EmbeddedEventLog* log, std::uint32_t partitions,
                   const std::string& log_identity, const std::filesystem::path& data_dir,
                   const std::filesystem::path& directory, const BytesProgress& progress,
                   const std::stop_token& stop);

// Checks a backup, file by file, and copies it to `data_dir`, which must not exist, be empty, or be
// what a restore that was cut off has left, which is removed.
// Throws StoreUnavailable, with a sentence on what is wrong with the backup.
void restore_backup(const std::filesystem::path& directory, const std::filesystem::path& data_dir,
                    const BytesProgress& progress);

// Whether a restore to there was cut off, so that it may look like a server's own and isn't whole.
bool is_unfinished_restore(const std::filesystem::path& data_dir);

}  // namespace contactd::infra
