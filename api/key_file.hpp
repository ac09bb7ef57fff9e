#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace contactd::api {

// The first line of `file`, which is made if it isn't there: `length` random characters, for the
// owner's eyes only. `what` names it in an error. Throws infra::Unavailable.
std::string read_or_make_key(const std::filesystem::path& file, std::string_view what,
                             std::size_t length);

// The first line of `file`, which must be there. Throws infra::Unavailable.
std::string read_key(const std::filesystem::path& file, std::string_view what);

}  // namespace contactd::api
