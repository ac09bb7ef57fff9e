#include "api/chunk_guard.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "api/http_grammar.hpp"
#include "api/limits.hpp"
#include "api/problem.hpp"

namespace contactd::api {
namespace {

constexpr std::size_t size_digits_max = 15;  // as many as can't overflow, and more than are of use

// Fields by which a message is framed or routed; RFC 9110, section 6.5.1, has them in no trailer.
constexpr std::array<std::string_view, 3> not_in_trailers = {"Content-Length", "Transfer-Encoding",
                                                             "Host"};

ProtocolRefusal malformed() {
  return {400, "Malformed chunk; send its size in hex digits, CRLF, the data, CRLF"};
}

unsigned hex_value(char c) {
  if (is_digit(c)) return static_cast<unsigned char>(c - '0');
  return 10U + static_cast<unsigned char>((c | 0x20) - 'a');
}

}  // namespace

std::optional<ProtocolRefusal> ChunkGuard::look(std::string_view bytes) {
  while (!bytes.empty() && at_ != At::end) {
    if (at_ == At::data) {
      const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
      left_ -= taken;
      bytes.remove_prefix(taken);
      if (left_ == 0) at_ = At::data_return;
      continue;
    }
    const std::uint64_t allowed =
        limits::chunk_framing_bytes_max + limits::chunk_framing_ratio_max * body_bytes_;
    if (++framing_bytes_ > allowed) {
      return ProtocolRefusal{400,
                             "The chunks of the body have too little in them; send larger ones"};
    }
    if (auto refused = look(bytes.front())) return refused;
    bytes.remove_prefix(1);
  }
  return std::nullopt;
}

ChunkGuard::Refused ChunkGuard::look(char c) {
  switch (at_) {
    case At::size:
      return at_size(c);
    case At::space:
      if (c == ' ' || c == '\t') return std::nullopt;
      return expect(c, ';', At::extension);
    case At::extension:
      if (is_field_value_character(c)) return std::nullopt;
      return expect(c, '\r', At::size_newline);
    case At::size_newline:
      if (c != '\n') return malformed();
      return begin_data();
    case At::data_return:
      return expect(c, '\r', At::data_newline);
    case At::data_newline:
      return expect(c, '\n', At::size);
    case At::trailer:
      if (c == '\r') {
        at_ = At::trailer_newline;
      } else {
        trailer_line_ += c;
      }
      return std::nullopt;
    case At::trailer_newline:
      if (c != '\n') return ProtocolRefusal{400, "Malformed trailer; end each line with CRLF"};
      return end_of_trailer_line();
    case At::data:
    case At::end:
      break;  // look() of many bytes does these itself
  }
  return std::nullopt;
}

ChunkGuard::Refused ChunkGuard::at_size(char c) {
  if (is_hex(c)) {
    if (++size_digits_ > size_digits_max) return malformed();
    left_ = left_ * 16 + hex_value(c);
    return std::nullopt;
  }
  if (size_digits_ == 0) return malformed();
  if (c == ' ' || c == '\t') {
    at_ = At::space;
    return std::nullopt;
  }
  if (c == ';') {
    at_ = At::extension;
    return std::nullopt;
  }
  return expect(c, '\r', At::size_newline);
}

ChunkGuard::Refused ChunkGuard::expect(char c, char wanted, At next) {
  if (c != wanted) return malformed();
  at_ = next;
  return std::nullopt;
}

ChunkGuard::Refused ChunkGuard::begin_data() {
  size_digits_ = 0;
  at_ = left_ == 0 ? At::trailer : At::data;
  body_bytes_ += left_;
  if (body_bytes_ <= limits::body_bytes_max) return std::nullopt;
  return body_too_large();
}

ChunkGuard::Refused ChunkGuard::end_of_trailer_line() {
  const std::string line = std::exchange(trailer_line_, {});
  if (line.empty()) {
    at_ = At::end;
    return std::nullopt;
  }
  at_ = At::trailer;
  const std::string_view text = line;
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || !is_token(text.substr(0, colon)) ||
      !is_field_value(text.substr(colon + 1))) {
    return ProtocolRefusal{400,
                           "Malformed trailer field; send a name, a colon and a value on one line"};
  }
  for (const std::string_view name : not_in_trailers) {
    if (!equal_ignoring_case(text.substr(0, colon), name)) continue;
    return ProtocolRefusal{
        400, "Host, Content-Length and Transfer-Encoding belong in the header, not in a trailer"};
  }
  return std::nullopt;
}

}  // namespace contactd::api
