#pragma once

#include <string_view>

#include "domain/ids.hpp"

namespace contactd::domain {

// SHA-256 of `first` and, behind it, `second`. Threads: any.
// Throws std::runtime_error if OpenSSL has none.
Digest sha256(std::string_view first, std::string_view second = {});

inline std::string_view bytes_of(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

}  // namespace contactd::domain
