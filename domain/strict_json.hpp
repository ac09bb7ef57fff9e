#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace contactd::domain {

inline constexpr std::size_t json_depth_max = 32;

// Why a text was refused.
struct JsonError {
  enum class Kind { malformed, too_deep };
  Kind kind = Kind::malformed;
  std::string message;                       // a sentence that says what and where
  std::optional<std::string> duplicate_key;  // the member's name, where that was the reason
};

// Reads JSON (RFC 8259) more strictly than most: one value and nothing after it; valid UTF-8; no
// byte order mark; no lone surrogate, no NUL character, no number beyond a double; no two members
// of an object with the same name; at most `json_depth_max` levels. Linear in the text's size.
std::variant<boost::json::value, JsonError> parse_strict_json(std::string_view text,
                                                              boost::json::storage_ptr storage);

// "null", "boolean", "number", "string", "array" or "object".
std::string_view json_type_name(const boost::json::value& value);

}  // namespace contactd::domain
