#include "api/commands/http_client.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <limits>

namespace contactd::api {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

// Past the server's own limit for an outcome.
constexpr std::chrono::seconds request_wait_max{30};

}  // namespace

ServerRefused::ServerRefused(const Answer& answer)
    : std::runtime_error("the server answered " + std::to_string(answer.status) + ": " +
                         answer.body) {}

class HttpClient::Impl {
 public:
  explicit Impl(const ServerOptions& server) : server_(server) {}

  Answer ask(std::string_view method, const std::string& target, const std::string& body,
             const Fields& fields) {
    http::request<http::string_body> request;
    request.method_string(method);
    request.target(target);
    request.set(http::field::host, server_.host + ":" + server_.port);
    request.set("X-API-KEY", server_.key);
    if (!body.empty()) request.set(http::field::content_type, "application/json");
    for (const auto& [name, value] : fields) request.set(name, value);
    request.body() = body;
    request.prepare_payload();
    try {
      return exchange(request);
    } catch (const boost::system::system_error& problem) {
      close();
      throw ServerUnreachable("can't ask http://" + server_.host + ":" + server_.port + ": " +
                              problem.code().message() + "; is the server running there?");
    }
  }

 private:
  Answer exchange(const http::request<http::string_body>& request) {
    if (stream_ && closed_meanwhile()) close();
    if (!stream_) connect();
    run([&](auto done) { http::async_write(*stream_, request, done); });
    http::response_parser<http::string_body> parser;
    parser.body_limit(std::numeric_limits<std::uint64_t>::max());  // it is a server of our own
    run([&](auto done) { http::async_read(*stream_, buffer_, parser, done); });
    if (!parser.get().keep_alive()) close();
    return {parser.get().result_int(), std::move(parser.get().body())};
  }

  // Whether the server has ended the connection since the last answer.
  bool closed_meanwhile() {
    char byte = 0;
    boost::system::error_code ec;
    stream_->socket().non_blocking(true, ec);
    stream_->socket().receive(asio::buffer(&byte, 1), asio::socket_base::message_peek, ec);
    return ec != asio::error::would_block;
  }

  void connect() {
    stream_.emplace(io_);
    const auto found = asio::ip::tcp::resolver{io_}.resolve(server_.host, server_.port);
    run([&](auto done) { stream_->async_connect(found, done); });
    stream_->socket().set_option(asio::ip::tcp::no_delay{true});
  }

  void close() {
    stream_.reset();
    buffer_.clear();
  }

  // Starts an operation and waits for its end. Throws boost::system::system_error.
  template <class Start>
  void run(Start start) {
    boost::system::error_code result;
    stream_->expires_after(request_wait_max);
    start([&result](boost::system::error_code ec, auto&&...) { result = ec; });
    io_.restart();
    io_.run();
    if (result) throw boost::system::system_error{result};
  }

  const ServerOptions server_;
  asio::io_context io_{1};
  std::optional<beast::tcp_stream> stream_;
  beast::flat_buffer buffer_;
};

HttpClient::HttpClient(const ServerOptions& server) : impl_(std::make_unique<Impl>(server)) {}
HttpClient::~HttpClient() = default;

Answer HttpClient::ask(std::string_view method, const std::string& target, const std::string& body,
                       const Fields& fields) {
  return impl_->ask(method, target, body, fields);
}

}  // namespace contactd::api
