#include "domain/json_text.hpp"

#include <array>
#include <cstdint>
#include <cstring>

namespace contactd::domain {
namespace {

// For each byte: 0, it stands for itself; 'u', it is written \u00xx; else the letter of its escape.
constexpr std::array<char, 256> make_escapes() {
  std::array<char, 256> escapes{};
  for (std::size_t c = 0; c < 0x20; ++c) escapes[c] = 'u';
  escapes['\b'] = 'b';
  escapes['\t'] = 't';
  escapes['\n'] = 'n';
  escapes['\f'] = 'f';
  escapes['\r'] = 'r';
  escapes['"'] = '"';
  escapes['\\'] = '\\';
  return escapes;
}
constexpr std::array<char, 256> escapes = make_escapes();
constexpr std::string_view hex_digits = "0123456789abcdef";

std::optional<std::size_t> string_length(std::string_view json) {
  for (std::size_t quote = 0;;) {
    quote = json.find('"', quote + 1);
    if (quote == std::string_view::npos) return std::nullopt;
    // It is the last one unless it is escaped, by the last of an odd number of backslashes.
    std::size_t backslashes = 0;
    while (json[quote - 1 - backslashes] == '\\') ++backslashes;
    if (backslashes % 2 == 0) return quote + 1;
  }
}

char from_hex(char digit) {
  return static_cast<char>(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

// The character that `escape` stands for, and how long that is without the backslash.
struct Unescaped {
  char character;
  std::size_t length;
};
Unescaped unescaped(std::string_view escape) {
  switch (escape.front()) {
    case 'b':
      return {'\b', 1};
    case 't':
      return {'\t', 1};
    case 'n':
      return {'\n', 1};
    case 'f':
      return {'\f', 1};
    case 'r':
      return {'\r', 1};
    case 'u':
      return {static_cast<char>(from_hex(escape[3]) * 16 + from_hex(escape[4])), 5};
    default:
      return {escape.front(), 1};
  }
}

std::optional<std::size_t> array_length(std::string_view json) {
  std::size_t at = 1;
  if (at < json.size() && json[at] == ']') return 2;
  while (at < json.size() && json[at] == '"') {
    const auto length = string_length(json.substr(at));
    if (!length) return std::nullopt;
    at += *length;
    if (at >= json.size()) return std::nullopt;
    if (json[at] == ']') return at + 1;
    if (json[at] != ',') return std::nullopt;
    ++at;
  }
  return std::nullopt;
}

std::uint64_t each_byte(std::uint64_t byte) { return byte * 0x0101010101010101U; }

// How many of the first bytes, in whole words, are ASCII and no control characters.
std::size_t ascii_length(std::string_view text) {
  std::size_t at = 0;
  for (std::uint64_t word = 0; at + sizeof(word) <= text.size(); at += sizeof(word)) {
    std::memcpy(&word, text.data() + at, sizeof(word));
    const std::uint64_t control = (word - each_byte(0x20)) & ~word;
    if (((word | control) & each_byte(0x80)) != 0) break;
  }
  return at;
}

// The length of the character that `text` begins with; 0 if it is none, or a control character.
std::size_t character_length(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto continues = [&](std::size_t i) { return byte(i) >= 0x80U && byte(i) <= 0xBFU; };
  const unsigned first = byte(0);
  if (first < 0x80U) return first >= 0x20U ? 1 : 0;
  if (first < 0xC2U || first > 0xF4U || !continues(1)) return 0;
  if (first < 0xE0U) return 2;
  // No longer than need be, no surrogate, none past U+10FFFF.
  const bool wrong = (first == 0xE0U && byte(1) < 0xA0U) || (first == 0xEDU && byte(1) > 0x9FU) ||
                     (first == 0xF0U && byte(1) < 0x90U) || (first == 0xF4U && byte(1) > 0x8FU);
  if (wrong || !continues(2)) return 0;
  if (first < 0xF0U) return 3;
  return continues(3) ? 4 : 0;
}

}  // namespace

std::string shortened(std::string_view text) {
  constexpr std::size_t quoted_bytes_max = 100;
  if (text.size() <= quoted_bytes_max) return std::string{text};
  std::size_t end = quoted_bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return std::string{text.substr(0, end)} + "...";
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const bool ascii = static_cast<unsigned char>(text.front()) < 0x80U;
    const std::size_t length = ascii ? 1 : character_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool is_utf8_without_controls(std::string_view text) {
  for (;;) {
    text.remove_prefix(ascii_length(text));
    if (text.empty()) return true;
    const std::size_t length = character_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  std::size_t plain_from = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const char escape = escapes[byte];
    if (escape == 0) continue;
    out.append(text, plain_from, i - plain_from);
    plain_from = i + 1;
    out += '\\';
    out += escape;
    if (escape == 'u') {
      out += "00";
      out += hex_digits[byte >> 4U];
      out += hex_digits[byte & 0x0FU];
    }
  }
  out.append(text, plain_from);
  out += '"';
}

std::string json_string(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  append_json_string(out, text);
  return out;
}

std::optional<std::size_t> canonical_value_length(std::string_view json) {
  if (json.starts_with("null")) return 4;
  if (json.starts_with('"')) return string_length(json);
  if (json.starts_with('[')) return array_length(json);
  return std::nullopt;
}

std::optional<std::vector<std::string_view>> canonical_items(std::string_view list) {
  std::vector<std::string_view> items;
  const auto whole = list.starts_with('[') ? array_length(list) : std::nullopt;
  if (whole != list.size()) return std::nullopt;
  for (list.remove_prefix(1); list.starts_with('"');) {
    const std::size_t length = string_length(list).value_or(list.size());
    items.push_back(list.substr(0, length));
    list.remove_prefix(length + 1);  // and the comma or the bracket
  }
  return items;
}

std::string text_of_canonical(std::string_view json) {
  const std::string_view inner = json.substr(1, json.size() - 2);
  std::string text;
  text.reserve(inner.size());
  for (std::size_t at = 0;;) {
    const std::size_t backslash = inner.find('\\', at);
    text += inner.substr(at, backslash - at);
    if (backslash == std::string_view::npos) return text;
    const auto [character, length] = unescaped(inner.substr(backslash + 1));
    text += character;
    at = backslash + 1 + length;
  }
}

}  // namespace contactd::domain
