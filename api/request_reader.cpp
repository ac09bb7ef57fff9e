#include "api/request_reader.hpp"

#include <algorithm>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <string>
#include <utility>
#include <vector>

#include "api/chunk_guard.hpp"
#include "api/http_grammar.hpp"
#include "api/limits.hpp"
#include "api/problem.hpp"
#include "api/request_guard.hpp"
#include "infra/random.hpp"

namespace contactd::api {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using Parser = http::request_parser<http::string_body>;

// What a chunked body ends with at least. So until its end so many bytes are still to come; given
// fewer, Beast 1.81 stops the process by an assertion (`0` and CRLF, then CR alone).
constexpr std::string_view last_chunk = "0\r\n\r\n";

std::string_view text(beast::string_view view) { return {view.data(), view.size()}; }

std::string_view text(const boost::asio::const_buffer& buffer) {
  return {static_cast<const char*>(buffer.data()), buffer.size()};
}

// The answer to a request that the parser gave up on; `seen` is what came of it.
ProtocolRefusal parse_failure(error_code ec, std::string_view seen) {
  if (ec == http::error::header_limit) {
    if (seen.substr(0, limits::target_bytes_max).find("\r\n") == std::string_view::npos) {
      return {414, "The request target is too long"};
    }
    return {431, "The header fields are too large; send less than " +
                     std::to_string(limits::header_bytes_max) + " bytes"};
  }
  if (ec == http::error::body_limit) return body_too_large();
  if (ec == http::error::bad_version) {
    return {505, "The HTTP versions spoken here are 1.1 and 1.0"};
  }
  return {400, "Malformed HTTP request: " + ec.message()};
}

constexpr const char* request_id_field = "X-Request-Id";

// The value of a field in a header that the parser hasn't seen, and may never take; empty if there
// is none.
std::string_view raw_field(std::string_view header, std::string_view name) {
  for (std::size_t at = header.find("\r\n"); at != std::string_view::npos;
       at = header.find("\r\n", at + 2)) {
    std::string_view line = header.substr(at + 2);
    line = line.substr(0, line.find("\r\n"));
    if (line.size() <= name.size() || line[name.size()] != ':') continue;
    if (!equal_ignoring_case(line.substr(0, name.size()), name)) continue;
    line.remove_prefix(name.size() + 1);
    return trimmed(line);
  }
  return {};
}

}  // namespace

class RequestReader::Impl {
 public:
  boost::asio::mutable_buffer prepare(std::size_t count) { return buffer_.prepare(count); }
  void commit(std::size_t count) { buffer_.commit(count); }
  bool has_bytes() const { return buffer_.size() > 0; }
  void discard() { buffer_ = beast::flat_buffer{}; }
  void forget() {
    parser_.reset();
    discard();
  }

  void next() {
    parser_.emplace();
    parser_->header_limit(limits::header_bytes_max);
    parser_->body_limit(limits::body_bytes_max);
    fields_.clear();
    chunks_ = {};
    looked_at_ = 0;
  }

  std::optional<ProtocolRefusal> parse() {
    while (buffer_.size() > 0 && !parser_->is_done()) {
      const bool in_header = !parser_->is_header_done();
      if (in_header && !skip_empty_lines()) return std::nullopt;
      // Beast gets a header only once it is whole and was looked at.
      if (in_header && !header_is_whole()) return refuse_unfinished_header();
      if (in_header) {
        if (auto refused = guard()) return refused;
      }
      if (!in_header && parser_->chunked()) {
        if (auto refused = look_at_chunks()) return refused;
        if (buffer_.size() < last_chunk.size()) return std::nullopt;
      }
      error_code ec;
      const std::size_t used = parser_->put(buffer_.data(), ec);
      if (ec && ec != http::error::need_more) {
        return parse_failure(ec, text(buffer_.cdata()));
      }
      buffer_.consume(used);
      looked_at_ -= std::min(looked_at_, used);
      if (in_header && parser_->is_header_done()) {
        note_header();
        parser_->eager(true);
      }
      if (parser_->is_done()) return std::nullopt;
      if (ec == http::error::need_more || used == 0) return std::nullopt;
    }
    return std::nullopt;
  }

  bool is_done() const { return parser_->is_done(); }
  bool header_is_done() const { return parser_->is_header_done(); }
  bool keep_alive() const { return keep_alive_; }
  int minor_version() const { return parser_->get().version() == 10 ? 0 : 1; }

  bool expects_continue() const {
    const auto& message = parser_->get();
    // RFC 9110, section 10.1.1: of HTTP/1.0 it is passed over.
    return minor_version() > 0 && message.find(http::field::expect) != message.end();
  }

  Request take_request(std::string_view client_network) {
    const auto& message = parser_->get();
    Request request;
    request.method = text(message.method_string());
    request.target = text(message.target());
    request.fields = std::move(fields_);
    request.body = message.body();
    request.has_body = parser_->content_length().has_value() || parser_->chunked();
    request.client_network = client_network;
    const auto id = request.field(request_id_field);
    request.request_id = id && good_request_id(*id) ? std::string{*id} : infra::new_request_id();
    return request;
  }

  // The id that the client has given the request, as far as its header has come; else a new one.
  std::string refused_request_id() const {
    std::string_view id;
    if (parser_ && parser_->is_header_done()) {
      const auto found = parser_->get().find(request_id_field);
      if (found != parser_->get().end()) id = text(found->value());
    } else {
      id = raw_field(text(buffer_.cdata()), request_id_field);
    }
    return good_request_id(id) ? std::string{id} : infra::new_request_id();
  }

  // What the client wants an error to be, as far as its header has come.
  ErrorFormat refused_format() const {
    if (parser_ && parser_->is_header_done()) {
      const auto found = parser_->get().find(http::field::accept);
      if (found == parser_->get().end()) return ErrorFormat::plain;
      return error_format(std::string{text(found->value())});
    }
    return error_format(std::string{raw_field(text(buffer_.cdata()), "Accept")});
  }

 private:
  // RFC 9112, section 2.2: empty lines before a request line are passed over. False if nothing is
  // left.
  bool skip_empty_lines() {
    while (text(buffer_.cdata()).starts_with("\r\n")) buffer_.consume(2);
    const std::string_view rest = text(buffer_.cdata());
    return !rest.empty() && rest != "\r";
  }

  std::size_t header_end() const { return text(buffer_.cdata()).find("\r\n\r\n"); }

  bool header_is_whole() const {
    const std::size_t end = header_end();
    return end != std::string_view::npos && end + 4 <= limits::header_bytes_max;
  }

  // What can be said of a header before its end is here: it is too long, or never will be right.
  std::optional<ProtocolRefusal> refuse_unfinished_header() const {
    const std::string_view seen = text(buffer_.cdata());
    if (seen.size() > limits::header_bytes_max) {
      return parse_failure(http::error::header_limit, seen);
    }
    if (!has_bare_newline(seen)) return std::nullopt;
    return ProtocolRefusal{400, "Malformed HTTP request; end each line with CRLF"};
  }

  std::optional<ProtocolRefusal> guard() const {
    return guard_header(text(buffer_.cdata()).substr(0, header_end() + 4));
  }

  std::optional<ProtocolRefusal> look_at_chunks() {
    const std::string_view bytes = text(buffer_.cdata());
    auto refused = chunks_.look(bytes.substr(looked_at_));
    looked_at_ = bytes.size();
    return refused;
  }

  void note_header() {
    keep_alive_ = parser_->keep_alive();
    fields_.reserve(16);
    for (const auto& field : parser_->get()) {
      fields_.emplace_back(text(field.name_string()), text(field.value()));
    }
  }

  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  // Of the header, and not of a chunked body's trailer, which Beast adds to it.
  std::vector<std::pair<std::string_view, std::string_view>> fields_;
  bool keep_alive_ = false;
  ChunkGuard chunks_;
  std::size_t looked_at_ = 0;  // bytes at the buffer's beginning that chunks_ has seen
};

RequestReader::RequestReader() : impl_(std::make_unique<Impl>()) {}
RequestReader::~RequestReader() = default;
boost::asio::mutable_buffer RequestReader::prepare(std::size_t count) {
  return impl_->prepare(count);
}
void RequestReader::commit(std::size_t count) { impl_->commit(count); }
bool RequestReader::has_bytes() const { return impl_->has_bytes(); }
void RequestReader::discard() { impl_->discard(); }
void RequestReader::forget() { impl_->forget(); }
void RequestReader::next() { impl_->next(); }
std::optional<ProtocolRefusal> RequestReader::parse() { return impl_->parse(); }
bool RequestReader::is_done() const { return impl_->is_done(); }
bool RequestReader::header_is_done() const { return impl_->header_is_done(); }
bool RequestReader::expects_continue() const { return impl_->expects_continue(); }
Request RequestReader::take_request(std::string_view client_network) {
  return impl_->take_request(client_network);
}
std::string RequestReader::refused_request_id() const { return impl_->refused_request_id(); }
ErrorFormat RequestReader::refused_format() const { return impl_->refused_format(); }
bool RequestReader::keep_alive() const { return impl_->keep_alive(); }
int RequestReader::minor_version() const { return impl_->minor_version(); }

}  // namespace contactd::api
