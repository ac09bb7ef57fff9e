#pragma once

#include <absl/hash/hash.h>
#include <absl/strings/string_view.h>

#include <cstddef>
#include <string_view>

namespace contactd::projections {

// Of keys in Abseil's maps, which are looked up by views of them. Abseil has a view of its own.
struct KeyHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view key) const noexcept {
    return absl::Hash<absl::string_view>{}({key.data(), key.size()});
  }
};

}  // namespace contactd::projections
