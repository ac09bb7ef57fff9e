#pragma once

#include <boost/asio/buffer.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/http_message.hpp"
#include "api/problem.hpp"

namespace contactd::api {

// Makes requests of the bytes of a connection, one after the other: request_guard looks at each
// header before Beast does, and everything is bounded. No I/O; how the bytes were cut into pieces
// makes no difference.
class RequestReader {
 public:
  RequestReader();
  ~RequestReader();

  // Where the next bytes go, and that so many of them have come.
  boost::asio::mutable_buffer prepare(std::size_t count);
  void commit(std::size_t count);
  // Whether bytes have come that no request has taken.
  bool has_bytes() const;
  // Forgets them, and gives their memory back.
  void discard();
  // And the request. next() begins another.
  void forget();

  // Begins the next request, with the bytes that are left of the last. To be called first.
  void next();
  // Reads on. What is to be answered instead, if this can't become a request; nothing can be read
  // of the connection then.
  std::optional<ProtocolRefusal> parse();
  bool is_done() const;
  bool header_is_done() const;
  // REQUIRES: header_is_done().
  bool expects_continue() const;

  // REQUIRES: is_done(), once a request. The views live until next().
  Request take_request(std::string_view client_network);
  // The id that the client has given the request, as far as its header has come; else a new one.
  std::string refused_request_id() const;
  // What the client wants an error to be, as far as its header has come; else plain.
  ErrorFormat refused_format() const;
  bool keep_alive() const;
  int minor_version() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace contactd::api
