#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace contactd::domain {

// contactd writes each string in one way only, its canonical JSON text: `"` and `\` escaped,
// control characters as \b \t \n \f \r or \u00xx, everything else as it is (UTF-8). Hence two
// strings are equal exactly when their canonical texts are, byte for byte.

// Appends the canonical JSON text of `text`, quotes included.
// REQUIRES: `text` is valid UTF-8.
void append_json_string(std::string& out, std::string_view text);
std::string json_string(std::string_view text);

// The first bytes of `text`, as many as a message quotes of what it was sent, cut between
// characters; all of it where it is short.
std::string shortened(std::string_view text);

// Whether `text` is valid UTF-8 (RFC 3629).
bool is_utf8(std::string_view text);
// The same, and without control characters (U+0000 to U+001F).
bool is_utf8_without_controls(std::string_view text);

// The length of the JSON value that `json` starts with, if that is null, a string or an array of
// strings in canonical text; nothing otherwise. Linear in that length; reads nothing past it.
std::optional<std::size_t> canonical_value_length(std::string_view json);

// The canonical texts of the strings in `list`, which they point into; nothing if `list` isn't the
// canonical text of an array of strings.
std::optional<std::vector<std::string_view>> canonical_items(std::string_view list);

// What the canonical text of a string says: the opposite of json_string().
std::string text_of_canonical(std::string_view json);

}  // namespace contactd::domain
