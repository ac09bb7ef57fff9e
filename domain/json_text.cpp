#include "domain/json_text.hpp"

#include <array>

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
  for (std::size_t i = 1; i < json.size(); ++i) {
    if (json[i] == '\\') {
      ++i;
    } else if (json[i] == '"') {
      return i + 1;
    }
  }
  return std::nullopt;
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

}  // namespace

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

}  // namespace contactd::domain
