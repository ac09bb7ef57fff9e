#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>

#include "infra/event_log.hpp"
#include "infra/swappable_read_store.hpp"
#include "infra/writer.hpp"

namespace contactd::infra {

// Builds the projections anew from the log, beside those that are read and written, and puts them
// in their place. Reads and writes go on all the while; folding pauses for the last stretch, which
// is as long as what is written while a thousand or so records are folded. A crash at any moment
// leaves the old ones or the new ones, whole. The old directory is removed once nobody reads it.
// Costs, while it lasts, the disk space and about the memory of a second set.
//
// `log` must be another reader than the writers' own, or one that several may use at once; the
// writers those of all its partitions. `progress` is told records done and in all.
// Returns false if it was stopped, having changed nothing.
// Throws Unavailable, BrokenLog; and StoreUnavailable if what comes out isn't what was there.
bool rebuild_projections(LogReader& log, std::span<Writer* const> writers,
                         SwappableReadStore& store, const std::filesystem::path& data_dir,
                         const std::function<void(std::uint64_t, std::uint64_t)>& progress,
                         const std::stop_token& stop);

}  // namespace contactd::infra
