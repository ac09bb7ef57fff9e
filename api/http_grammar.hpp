#pragma once

#include <algorithm>
#include <string_view>

#include "domain/ascii.hpp"

// What RFC 9110 and RFC 9112 let stand in the parts of a message.
namespace contactd::api {

using domain::is_alphanumeric;
using domain::is_digit;
using domain::is_hex;

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

// Without the optional white space around it (OWS).
constexpr std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

// Off the front of a list: what stands before the next `separator`.
constexpr std::string_view take_until(std::string_view& list, char separator) {
  const std::string_view item = list.substr(0, list.find(separator));
  list.remove_prefix(std::min(list.size(), item.size() + 1));
  return trimmed(item);
}

}  // namespace contactd::api
