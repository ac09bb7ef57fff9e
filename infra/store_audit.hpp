#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "infra/event_log.hpp"
#include "infra/read_store.hpp"

namespace contactd::infra {

// The projections in `directory`, to be compared: every block of every file has the checksum that
// it was written with, and they are of this release's format; else a start would make them anew.
// Nothing there is changed, and nobody can write to them while they are open. Throws
// StoreUnavailable if they aren't as said, if somebody writes to them, or if there are none.
std::unique_ptr<ReadStore> open_store_for_audit(const std::filesystem::path& directory);

// Folds into `replayed`, which is empty, what `live` has folded of each of the log's partitions.
// Throws as Projector does, and LogUnavailable if the log ends before.
using OnReplayed = std::function<void(std::uint64_t records)>;
void replay_for_audit(LogReader& log, const ReadStore& live, ReadStore& replayed,
                      const OnReplayed& on_progress);

// Compares key by key, and looks by `look` now and then: what that throws ends it. No difference if
// they are equal; else the first one, a sentence.
struct Comparison {
  std::uint64_t rows = 0;
  std::optional<std::string> difference;
};
Comparison compare(const ReadStore& live, const ReadStore& replayed,
                   const std::function<void()>& look);

}  // namespace contactd::infra
