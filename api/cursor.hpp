#pragma once

#include <optional>
#include <string>
#include <string_view>

// Cursors end with a checksum over what is before it and what they lead on in, so that one that was
// changed, or is another list's, is refused and doesn't leave anything out. It keeps no secret: who
// makes up a cursor reads nothing but what he may read.
namespace contactd::api {

inline constexpr std::string_view bad_cursor =
    "Invalid query parameter 'cursor': send next_cursor of an earlier answer to the same request "
    "as it came";

std::string with_checksum(std::string text, std::string_view of);

// What is before the checksum; nothing if that is another's.
std::optional<std::string_view> without_checksum(std::string_view text, std::string_view of);

}  // namespace contactd::api
