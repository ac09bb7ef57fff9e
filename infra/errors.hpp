#pragma once

#include <stdexcept>
#include <string>

namespace contactd::infra {

// The world broke: a disk, a broker, a file. The message says what failed, on what, and what to
// do. Caught at one place for each thread of work: the writer's loop, a request, main.
struct Unavailable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct LogUnavailable : Unavailable {
  using Unavailable::Unavailable;
};

// No broker of the log answers; one may at any time.
struct LogAway : LogUnavailable {
  using LogUnavailable::LogUnavailable;
};

struct StoreUnavailable : Unavailable {
  using Unavailable::Unavailable;
};

// A database's files are there but don't fit together: one is missing or corrupt.
struct StoreDamaged : StoreUnavailable {
  using StoreUnavailable::StoreUnavailable;
};

}  // namespace contactd::infra
