#pragma once

#include <string>
#include <string_view>

#include "domain/json_text.hpp"

namespace contactd::api {

// Whether a terminal would do something at this character, or show what follows it out of its
// order: control characters, line separators, and those for text in two directions.
constexpr bool steers_a_terminal(unsigned code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x061C || code == 0x200E ||
         code == 0x200F || (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

// The text for a terminal, whatever bytes it is of: what would steer it as \uXXXX, what is no UTF-8
// as U+FFFD; all else as it is.
inline std::string printable(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto first = static_cast<unsigned>(static_cast<unsigned char>(text.front()));
    const std::size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    const std::string_view character = text.substr(0, length);
    if (!domain::is_utf8(character)) {
      out += "\uFFFD";
      text.remove_prefix(1);
      continue;
    }
    unsigned code = length == 1 ? first : first & (0xFFU >> (length + 1));
    for (const char byte : character.substr(1)) {
      code = (code << 6U) | (static_cast<unsigned>(static_cast<unsigned char>(byte)) & 0x3FU);
    }
    if (steers_a_terminal(code)) {
      out += "\\u";
      for (unsigned shift = 16; shift > 0; shift -= 4) out += digits[(code >> (shift - 4)) & 0x0FU];
    } else {
      out += character;
    }
    text.remove_prefix(length);
  }
  return out;
}

}  // namespace contactd::api
