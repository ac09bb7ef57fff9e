#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>

#include "infra/event_log.hpp"
#include "infra/read_store.hpp"

namespace contactd::infra {

// Folds one partition of `log` into `store`, from the store's checkpoint up to offset `end`, or to
// where the log ends, if that is before it; on the way it tells the offset that it has come to.
// Returns early when stopped. Counts in no metrics.
// Throws as Projector::fold_next(), and LogUnavailable if the log doesn't show what it has.
void fold_log(LogReader& log, std::uint32_t partition, ReadStore& store, std::uint64_t end,
              const std::function<void(std::uint64_t)>& progress, const std::stop_token& stop = {});

// The same up to `end` exactly, where it is known that the log has all before it: what a reader
// behind a network believes to be the log's end may be older.
void fold_log_to(LogReader& log, std::uint32_t partition, ReadStore& store, std::uint64_t end,
                 const std::function<void(std::uint64_t)>& progress,
                 const std::stop_token& stop = {});

}  // namespace contactd::infra
