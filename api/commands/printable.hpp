#pragma once

#include <string>
#include <string_view>

namespace contactd::api {

// Whether a terminal would do something at this character, or show what follows it out of its
// order: control characters, line separators, and those for text in two directions.
constexpr bool steers_a_terminal(unsigned code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x061C || code == 0x200E ||
         code == 0x200F || (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
}

// The text for a terminal: what would steer it as \uXXXX; all else as it is. REQUIRES: valid UTF-8.
inline std::string printable(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  const auto byte = [&](std::size_t at) {
    return at < text.size() ? static_cast<unsigned>(static_cast<unsigned char>(text[at])) : 0U;
  };
  for (std::size_t i = 0; i < text.size();) {
    // None of those has more than three bytes.
    unsigned code = byte(i);
    std::size_t length = 1;
    if (code >= 0xC0 && code < 0xE0) {
      code = ((code & 0x1FU) << 6U) | (byte(i + 1) & 0x3FU);
      length = 2;
    } else if (code >= 0xE0 && code < 0xF0) {
      code = ((code & 0x0FU) << 12U) | ((byte(i + 1) & 0x3FU) << 6U) | (byte(i + 2) & 0x3FU);
      length = 3;
    } else if (code >= 0xF0) {
      length = 4;
    }
    if (length < 4 && steers_a_terminal(code)) {
      out += "\\u";
      for (int shift = 12; shift >= 0; shift -= 4)
        out += digits[(code >> static_cast<unsigned>(shift)) & 0x0FU];
    } else {
      out += text.substr(i, length);
    }
    i += length;
  }
  return out;
}

}  // namespace contactd::api
