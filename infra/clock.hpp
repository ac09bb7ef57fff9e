#pragma once

#include <chrono>
#include <functional>

#include "domain/instant.hpp"

namespace contactd::infra {

// Where the shell gets the time from; the domain and the fold are only ever told it.
using Clock = std::function<domain::Instant()>;

inline domain::Instant system_time() {
  using namespace std::chrono;
  const auto since = system_clock::now().time_since_epoch();
  return {duration_cast<milliseconds>(since).count()};
}

}  // namespace contactd::infra
