#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/raw_connection.hpp"

namespace contactd::test {

using Headers = std::vector<std::pair<std::string, std::string>>;

bool same_header_name(std::string_view a, std::string_view b);

struct Response {
  unsigned status = 0;
  unsigned http_minor = 1;
  Headers headers;
  std::string body;
  bool keeps_connection = false;

  // The first header of that name, in whatever case.
  std::optional<std::string> header(std::string_view name) const;
  std::size_t count_headers(std::string_view name) const;
  // The Content-Type without its parameters; empty where there is none.
  std::string media_type() const;
  // Throws std::runtime_error, which shows the body, where it isn't JSON.
  boost::json::value json() const;
};

// The bytes of a request: Host and, where there is a body, Content-Length are added if they aren't
// among `headers`.
std::string request_text(std::string_view method, std::string_view target, const Headers& headers,
                         const std::optional<std::string>& body);

// Reads responses off a connection one by one, however they were packed.
class ResponseReader {
 public:
  explicit ResponseReader(RawConnection& connection) : connection_(&connection) {}

  // The next response, interim ones (1xx) included. `to_head`: it answers a HEAD, so no body
  // follows. Throws std::runtime_error where none comes whole within the connection's limit.
  Response read(bool to_head = false);
  // Whether the other side has closed, with nothing more sent before.
  bool at_end();

 private:
  bool read_more();

  RawConnection* connection_;
  std::string unread_;
};

// A small blocking HTTP/1.1 client that keeps its connection as long as the server does.
class HttpClient {
 public:
  explicit HttpClient(std::uint16_t port) : port_(port) {}

  // Throws std::runtime_error where no whole response comes.
  Response request(std::string_view method, std::string_view target, const Headers& headers = {},
                   const std::optional<std::string>& body = std::nullopt);

 private:
  std::uint16_t port_;
  std::optional<RawConnection> connection_;
};

}  // namespace contactd::test
