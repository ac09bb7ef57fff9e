#include "tests/support/http_client.hpp"

#include <algorithm>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/json/parse.hpp>
#include <limits>
#include <stdexcept>

namespace contactd::test {
namespace {

namespace http = boost::beast::http;

constexpr std::uint32_t header_bytes_max = 65'536;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

Response response_of(const http::response_parser<http::string_body>& parser) {
  const auto& message = parser.get();
  Response response;
  response.status = message.result_int();
  response.http_minor = message.version() % 10;
  for (const auto& field : message) {
    response.headers.emplace_back(std::string{field.name_string()}, std::string{field.value()});
  }
  response.body = message.body();
  response.keeps_connection = parser.keep_alive();
  return response;
}

}  // namespace

bool same_header_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::optional<std::string> Response::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (same_header_name(key, name)) return value;
  }
  return std::nullopt;
}

std::size_t Response::count_headers(std::string_view name) const {
  return static_cast<std::size_t>(
      std::count_if(headers.begin(), headers.end(),
                    [&](const auto& entry) { return same_header_name(entry.first, name); }));
}

std::string Response::media_type() const {
  const std::string value = header("Content-Type").value_or("");
  return value.substr(0, value.find(';'));
}

boost::json::value Response::json() const {
  boost::system::error_code ec;
  boost::json::value value = boost::json::parse(body, ec);
  if (ec) throw std::runtime_error{"not JSON, but: " + std::to_string(status) + ' ' + body};
  return value;
}

std::string request_text(std::string_view method, std::string_view target, const Headers& headers,
                         const std::optional<std::string>& body) {
  const auto given = [&](std::string_view name) {
    return std::any_of(headers.begin(), headers.end(),
                       [&](const auto& entry) { return same_header_name(entry.first, name); });
  };
  std::string text;
  text.append(method).append(" ").append(target).append(" HTTP/1.1\r\n");
  if (!given("Host")) text += "Host: localhost\r\n";
  for (const auto& [name, value] : headers) text.append(name + ": " + value + "\r\n");
  if (body && !given("Content-Length") && !given("Transfer-Encoding")) {
    text += "Content-Length: " + std::to_string(body->size()) + "\r\n";
  }
  text += "\r\n";
  return text.append(body.value_or(""));
}

bool ResponseReader::read_more() {
  const RawConnection::Read read = connection_->read_some(unread_);
  if (read == RawConnection::Read::timed_out) {
    throw std::runtime_error{"no whole response in time; so far: " + unread_};
  }
  return read == RawConnection::Read::data;
}

Response ResponseReader::read(bool to_head) {
  http::response_parser<http::string_body> parser;
  parser.eager(true);
  parser.skip(to_head);
  parser.header_limit(header_bytes_max);
  parser.body_limit(std::numeric_limits<std::uint64_t>::max());
  boost::beast::error_code ec;
  while (!parser.is_done()) {
    if (unread_.empty() && !read_more()) {
      if (!parser.got_some()) throw std::runtime_error{"the server closed without a response"};
      parser.put_eof(ec);
      if (ec) throw std::runtime_error{"the server closed in the middle of a response"};
      break;
    }
    const std::size_t used = parser.put(boost::asio::buffer(unread_), ec);
    unread_.erase(0, used);
    if (ec == http::error::need_more) {
      ec = {};
      if (!read_more()) throw std::runtime_error{"the server closed within a response"};
    }
    if (ec) throw std::runtime_error{"not an HTTP response (" + ec.message() + "): " + unread_};
  }
  return response_of(parser);
}

bool ResponseReader::at_end() { return unread_.empty() && !read_more(); }

Response HttpClient::request(std::string_view method, std::string_view target,
                             const Headers& headers, const std::optional<std::string>& body) {
  if (!connection_) connection_.emplace(port_);
  // A refused send isn't the end: the server may have answered before it read all.
  connection_->send(request_text(method, target, headers, body));
  try {
    Response response = ResponseReader{*connection_}.read(method == "HEAD");
    if (!response.keeps_connection) connection_.reset();
    return response;
  } catch (...) {
    connection_.reset();
    throw;
  }
}

}  // namespace contactd::test
