#pragma once

#include <cstddef>

namespace contactd::projections {

// How many rows ahead of the one that is worked on the next ones are loaded.
inline constexpr std::size_t prefetch_ahead = 8;

// Begins to load the bytes into the processor's cache, and doesn't wait for them: for what is known
// to be read soon and lies where no one could guess. A hint; whether it is worth it is measured
// (bench/replay.cpp).
inline void prefetch(const void* begin, std::size_t bytes) {
  constexpr std::size_t cache_line_bytes = 64;
  const char* const at = static_cast<const char*>(begin);
  for (std::size_t from = 0; from < bytes; from += cache_line_bytes) __builtin_prefetch(at + from);
}

}  // namespace contactd::projections
