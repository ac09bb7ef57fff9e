#include "api/http_message.hpp"

#include <algorithm>
#include <charconv>

#include "api/limits.hpp"

namespace contactd::api {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

void append_decimal(std::string& out, std::size_t number) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  out += value;
  out += "\r\n";
}

constexpr std::string_view security_fields =
    "Cache-Control: no-store\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n";
constexpr std::string_view tls_fields = "Strict-Transport-Security: max-age=31536000\r\n";

}  // namespace

std::string_view reason_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

bool good_request_id(std::string_view id) {
  return !id.empty() && id.size() <= limits::request_id_length_max &&
         std::all_of(id.begin(), id.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

std::optional<std::string_view> Request::field(std::string_view name) const {
  for (const auto& [key, value] : fields) {
    if (equal_ignoring_case(key, name)) return value;
  }
  return std::nullopt;
}

std::optional<std::string> Request::joined_field(std::string_view name) const {
  std::optional<std::string> joined;
  for (const auto& [key, value] : fields) {
    if (!equal_ignoring_case(key, name)) continue;
    if (joined) {
      *joined += ", ";
    } else {
      joined.emplace();
    }
    *joined += value;
  }
  return joined;
}

std::string append_response(std::string& out, Response response, int minor_version, bool keep_alive,
                            std::string_view date, std::string_view request_id, bool tls) {
  const bool copied = response.body.size() <= limits::copied_body_bytes_max;
  out.reserve(out.size() + (copied ? response.body.size() : 0) + 768);
  out += minor_version == 0 ? "HTTP/1.0 " : "HTTP/1.1 ";
  append_decimal(out, static_cast<std::size_t>(response.status));
  out += ' ';
  out += reason_of(response.status);
  out += "\r\n";
  append_field(out, "Date", date);
  const bool may_have_body = response.status != 204 && response.status != 304;
  if (may_have_body) {
    if (!response.content_type.empty()) append_field(out, "Content-Type", response.content_type);
    if (!response.streamed) {
      out += "Content-Length: ";
      append_decimal(out, response.body.size());
      out += "\r\n";
    } else if (minor_version > 0) {
      append_field(out, "Transfer-Encoding", "chunked");
    }
  }
  append_field(out, "X-Request-Id", request_id);
  for (const auto& [name, value] : response.fields) append_field(out, name, value);
  out += security_fields;
  if (tls) out += tls_fields;
  if (!keep_alive) {
    append_field(out, "Connection", "close");
  } else if (minor_version == 0) {
    append_field(out, "Connection", "keep-alive");
  }
  out += "\r\n";
  if (!may_have_body || response.head) return {};
  if (!copied) return std::move(response.body);
  out += response.body;
  return {};
}

}  // namespace contactd::api
