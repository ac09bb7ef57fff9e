#pragma once

#include <algorithm>
#include <string_view>

// What RFC 9110 and RFC 9112 let stand in the parts of a message.
namespace contactd::api {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_alphanumeric(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || is_digit(c);
}
constexpr bool is_hex(char c) {
  return (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f') || is_digit(c);
}

constexpr bool is_token_character(char c) {
  return is_alphanumeric(c) ||
         std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
}
constexpr bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_character);
}

// Visible characters, spaces, tabs and bytes past ASCII.
constexpr bool is_field_value_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= 0x20 && byte != 0x7F);
}
constexpr bool is_field_value(std::string_view text) {
  return std::all_of(text.begin(), text.end(), is_field_value_character);
}

}  // namespace contactd::api
