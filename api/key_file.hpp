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

// The first line of `file`, which must be there. Warns where others than the owner can read it.
// Throws infra::Unavailable.
std::string read_key(const std::filesystem::path& file, std::string_view what);

// The first line of `file`, without its end; empty if there is none or it can't be read.
std::string first_line_of(const std::filesystem::path& file);

// Warns in the log if others than its owner can read `file`, which is `what`.
void warn_of_readable(const std::filesystem::path& file, std::string_view what);

}  // namespace contactd::api
