#pragma once

#include <chrono>
#include <functional>
#include <stdexcept>

#include "infra/projector.hpp"

namespace contactd::test {

inline void ignore_folded(const domain::RecordedEvent&, const projections::FoldBatch::Result&) {}

// Folds what the log shows now, slice by slice. Throws as Projector::fold_next().
inline void fold_rest(infra::Projector& projector,
                      const infra::Projector::OnFolded& on_folded = ignore_folded) {
  while (projector.fold_next(on_folded)) {
  }
}

// Folds until `done` holds, of a log that shows late what it has. Throws also where it shows
// nothing new for too long.
inline void fold_until(infra::Projector& projector, infra::LogReader& log, std::uint32_t partition,
                       const std::function<bool()>& done,
                       const infra::Projector::OnFolded& on_folded = ignore_folded) {
  constexpr std::chrono::milliseconds look_interval{100};
  constexpr std::chrono::milliseconds wait_max{60'000};
  std::chrono::milliseconds waited{};
  while (!done()) {
    if (projector.fold_next(on_folded)) {
      waited = {};
    } else if (waited >= wait_max) {
      throw std::runtime_error{"the log shows nothing new"};
    } else if (!log.wait(partition, projector.position(), look_interval)) {
      waited += look_interval;
    }
  }
}

}  // namespace contactd::test
