#include "api/request_guard.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "api/http_grammar.hpp"
#include "api/http_message.hpp"
#include "api/limits.hpp"

namespace contactd::api {
namespace {

using Refused = std::optional<ProtocolRefusal>;

Refused refuse(std::string_view sentence) { return ProtocolRefusal{400, std::string{sentence}}; }

bool is_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

bool is_port(std::string_view text) {
  constexpr unsigned port_max = 65'535;
  if (text.empty()) return true;  // RFC 3986 lets the digits be missing
  unsigned port = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
  return ec == std::errc{} && end == text.data() + text.size() && port <= port_max;
}

// What stands between the brackets of an IPv6 address, as far as its characters go.
bool is_address(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char c) { return is_hex(c) || c == ':' || c == '.'; });
}

// RFC 3986's reg-name, which has IPv4 addresses in it; but not an empty one.
bool is_name(std::string_view text) {
  constexpr std::string_view others = "-._~!$&'()*+,;=";
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_alphanumeric(text[i]) || others.find(text[i]) != std::string_view::npos) continue;
    if (text[i] != '%' || i + 2 >= text.size()) return false;
    if (!is_hex(text[++i]) || !is_hex(text[++i])) return false;
  }
  return !text.empty();
}

// host [":" port]
bool is_host(std::string_view text) {
  const bool brackets = text.starts_with('[');
  const std::size_t end = brackets ? text.find(']') : text.find(':');
  if (brackets && end == std::string_view::npos) return false;
  const std::string_view host = brackets ? text.substr(1, end - 1) : text.substr(0, end);
  const std::string_view rest =
      end == std::string_view::npos ? std::string_view{} : text.substr(end + (brackets ? 1 : 0));
  const bool good_rest = rest.empty() || (rest.front() == ':' && is_port(rest.substr(1)));
  return good_rest && (brackets ? is_address(host) : is_name(host));
}

// How often each field came that may come once, and what the framing ones said.
class FieldGuard {
 public:
  explicit FieldGuard(bool http_1_0) : http_1_0_(http_1_0) {}

  Refused add(std::string_view name, std::string_view value) {
    for (std::size_t i = 0; i < once.size(); ++i) {
      if (!equal_ignoring_case(name, once[i])) continue;
      if (++counts_[i] > 1) {
        return refuse(
            "A header field that may come once came twice; send Host, Content-Length, "
            "Transfer-Encoding, X-API-KEY, Content-Type and Idempotency-Key once");
      }
      return check(static_cast<Once>(i), value);
    }
    return std::nullopt;
  }

  Refused finish() const {
    if (count(Once::host) == 0 && !http_1_0_) {
      return refuse("The Host header field is missing; HTTP/1.1 wants exactly one");
    }
    if (count(Once::transfer_encoding) > 0 && count(Once::content_length) > 0) {
      return refuse("Send Content-Length or Transfer-Encoding, not both");
    }
    return std::nullopt;
  }

 private:
  enum class Once : std::size_t {
    host,
    content_length,
    transfer_encoding,
    expect,
    api_key,
    content_type,
    idempotency_key,
  };
  static constexpr std::array<std::string_view, 7> once = {
      "Host",      "Content-Length", "Transfer-Encoding", "Expect",
      "X-API-KEY", "Content-Type",   "Idempotency-Key"};

  int count(Once field) const { return counts_[static_cast<std::size_t>(field)]; }

  Refused check(Once field, std::string_view value) const {
    switch (field) {
      case Once::host:
        if (is_host(value)) return std::nullopt;
        return refuse("The Host header field is no host and port");
      case Once::content_length:
        if (is_digits(value)) return std::nullopt;
        return refuse("Content-Length must be a whole number");
      case Once::transfer_encoding:
        if (http_1_0_) return refuse("HTTP/1.0 has no Transfer-Encoding");
        if (equal_ignoring_case(value, "chunked")) return std::nullopt;
        return refuse("The only Transfer-Encoding taken is chunked");
      case Once::expect:
        if (equal_ignoring_case(value, "100-continue")) return std::nullopt;
        return ProtocolRefusal{417, "The only Expect taken is 100-continue"};
      case Once::api_key:
      case Once::content_type:
      case Once::idempotency_key:
        return std::nullopt;
    }
    return std::nullopt;
  }

  const bool http_1_0_;
  std::array<int, once.size()> counts_{};
};

Refused guard_request_line(std::string_view line, bool& http_1_0) {
  const std::size_t first = line.find(' ');
  const std::size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos || !is_token(line.substr(0, first))) {
    return refuse("Malformed request line; send METHOD, a space, the path, a space, HTTP/1.1");
  }
  const std::string_view target = line.substr(first + 1, second - first - 1);
  const std::string_view version = line.substr(second + 1);
  http_1_0 = version == "HTTP/1.0";
  if (!http_1_0 && version != "HTTP/1.1") {
    const bool is_version = version.size() == 8 && version.starts_with("HTTP/") &&
                            is_digits(version.substr(5, 1)) && version[6] == '.' &&
                            is_digits(version.substr(7));
    if (!is_version) return refuse("Malformed request line; end it with HTTP/1.1");
    return ProtocolRefusal{505, "The HTTP versions spoken here are 1.1 and 1.0"};
  }
  if (target.size() > limits::target_bytes_max) {
    return ProtocolRefusal{414, "The request target is too long"};
  }
  const bool visible = std::all_of(target.begin(), target.end(),
                                   [](char c) { return c > 0x20 && c < 0x7F && c != '#'; });
  if (!target.starts_with('/') || !visible) {
    return refuse("The request target must be a path, in visible ASCII, from / on");
  }
  return std::nullopt;
}

}  // namespace

Refused guard_header(std::string_view header) {
  bool http_1_0 = false;
  std::size_t end = header.find("\r\n");
  if (end == std::string_view::npos) return refuse("Malformed request line; end it with CRLF");
  if (auto refused = guard_request_line(header.substr(0, end), http_1_0)) return refused;
  FieldGuard fields{http_1_0};
  for (std::size_t at = end + 2;; at = end + 2) {
    end = header.find("\r\n", at);
    if (end == std::string_view::npos) return refuse("The header must end with an empty line");
    const std::string_view line = header.substr(at, end - at);
    if (line.empty()) return fields.finish();
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
      return refuse("Malformed header field; send a name, a colon and a value on one line");
    }
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (!is_field_value(value)) return refuse("A header field has a control character");
    if (auto refused = fields.add(line.substr(0, colon), value)) return refused;
  }
}

bool has_bare_newline(std::string_view header) {
  for (std::size_t at = header.find('\n'); at != std::string_view::npos;
       at = header.find('\n', at + 1)) {
    if (at == 0 || header[at - 1] != '\r') return true;
  }
  return false;
}

}  // namespace contactd::api
