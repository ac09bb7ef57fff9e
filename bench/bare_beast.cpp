// Peer (a) of the benchmark, the ceiling: a Boost.Beast coroutine server that reads the same PATCH,
// parses and strictly checks its body, and answers a constant of the same size. It stores nothing,
// knows no keys and routes nothing; what it costs is what HTTP and JSON cost.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/parser.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;
using asio::ip::tcp;

// The executor's own type, not any_io_executor: no indirect call at each step.
using Executor = asio::io_context::executor_type;
using Acceptor = asio::basic_socket_acceptor<tcp, Executor>;
using Stream = beast::basic_stream<tcp, Executor>;
using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;
template <class T>
using Task = asio::awaitable<T, Executor>;
constexpr asio::as_tuple_t<asio::use_awaitable_t<Executor>> as_result;

constexpr auto request_deadline = std::chrono::seconds{30};
constexpr std::uint32_t header_bytes_max = 16384;
constexpr std::uint64_t body_bytes_max = 262144;
constexpr std::size_t json_scratch_bytes = 8192;

constexpr std::string_view contact_of_the_reference =
    R"({"data":{"id":"AbCdEfGhIjKlMnOpQrSt","first_name":"Janet 1234567","last_name":"Doe",)"
    R"("email":"jane.123456@example.com","phone_number":"+1234567890","status":"active",)"
    R"("job_title":"CTO 1234567","company":"Acme Inc","university":null,"gender":null,)"
    R"("birthday":null,"location":"New York","linkedin":null,"instagram":null,"twitter":null,)"
    R"("github":null,"website":null,"tags":["vip","speaker","1234567"],)"
    R"("created_at":"2025-03-01T00:00:00.000Z","updated_at":"2025-07-15T10:30:00.000Z"}})";

// ---- the check of a PATCH body
// --------------------------------------------------------------------

enum class Kind { string, string_or_null, strings, status };

struct Field {
  std::string_view name;
  Kind kind;
};

constexpr std::array fields{
    Field{"email", Kind::string},
    Field{"phone_number", Kind::string},
    Field{"first_name", Kind::string},
    Field{"last_name", Kind::string},
    Field{"job_title", Kind::string_or_null},
    Field{"company", Kind::string_or_null},
    Field{"university", Kind::string_or_null},
    Field{"gender", Kind::string_or_null},
    Field{"birthday", Kind::string_or_null},
    Field{"location", Kind::string_or_null},
    Field{"linkedin", Kind::string_or_null},
    Field{"instagram", Kind::string_or_null},
    Field{"twitter", Kind::string_or_null},
    Field{"github", Kind::string_or_null},
    Field{"website", Kind::string_or_null},
    Field{"tags", Kind::strings},
    Field{"status", Kind::status},
};

bool fits(Kind kind, const json::value& value) {
  switch (kind) {
    case Kind::string:
      return value.is_string();
    case Kind::string_or_null:
      return value.is_string() || value.is_null();
    case Kind::strings:
      return value.is_array() && std::ranges::all_of(value.get_array(), &json::value::is_string);
    case Kind::status:
      return value.is_string() &&
             (value.get_string() == "active" || value.get_string() == "inactive");
  }
  return false;
}

bool is_patch(std::string_view body) {
  std::array<unsigned char, json_scratch_bytes> scratch;
  json::monotonic_resource memory(scratch.data(), scratch.size());
  json::parser parser(&memory);
  boost::system::error_code error;
  parser.write(body, error);
  if (error) return false;
  const json::value root = parser.release();
  if (!root.is_object()) return false;
  return std::ranges::all_of(root.get_object(), [](const json::key_value_pair& member) {
    const std::string_view name{member.key().data(), member.key().size()};
    const auto* const field = std::ranges::find(fields, name, &Field::name);
    return field != fields.end() && fits(field->kind, member.value());
  });
}

// ---- the server
// ----------------------------------------------------------------------------------

Response answer(const Request& request, const std::string& contact) {
  const bool known = request.method() == http::verb::patch || request.method() == http::verb::get;
  Response response{http::status::ok, request.version()};
  response.set(http::field::content_type, "application/json");
  if (!known) {
    response.result(http::status::method_not_allowed);
    response.set(http::field::allow, "GET, PATCH");
    response.body() = R"({"error":"This server answers GET and PATCH."})";
  } else if (request.method() == http::verb::patch && !is_patch(request.body())) {
    response.result(http::status::bad_request);
    response.body() = R"({"error":"The body is not a patch of a contact."})";
  } else {
    // What the contract has on every contact response besides the contact.
    response.set(http::field::etag, R"("1234")");
    response.set("X-Request-Id", "0198a5d0-7c1e-7b6a-9d3f-3f1c2b4a5d6e");
    response.body() = contact;
  }
  response.keep_alive(request.keep_alive());
  response.prepare_payload();
  return response;
}

Task<void> serve(Stream stream, const std::string& contact) {
  beast::flat_buffer buffer;
  for (;;) {
    http::request_parser<http::string_body> parser;
    parser.header_limit(header_bytes_max);
    parser.body_limit(body_bytes_max);
    stream.expires_after(request_deadline);
    const auto [read_error, read] = co_await http::async_read(stream, buffer, parser, as_result);
    if (read_error) break;
    const Response response = answer(parser.get(), contact);
    stream.expires_after(request_deadline);
    const auto [write_error, written] = co_await http::async_write(stream, response, as_result);
    if (write_error || !response.keep_alive()) break;
  }
  boost::system::error_code ignored;
  stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
}

using Contexts = std::vector<std::unique_ptr<asio::io_context>>;

// Deals the connections out, one thread after the other; `contexts` and `contact` outlive it.
Task<void> accept(Acceptor acceptor, const Contexts& contexts, const std::string& contact) {
  for (std::size_t turn = 0;; ++turn) {
    asio::io_context& context = *contexts[turn % contexts.size()];
    auto [error, socket] = co_await acceptor.async_accept(context, as_result);
    if (error) continue;
    socket.set_option(tcp::no_delay(true), error);
    asio::co_spawn(context, serve(Stream(std::move(socket)), contact), asio::detached);
  }
}

tcp::endpoint endpoint_of(const std::string& listen) {
  const auto colon = listen.rfind(':');
  if (colon == std::string::npos) throw std::invalid_argument("--listen is ADDRESS:PORT");
  const int port = std::stoi(listen.substr(colon + 1));
  if (port < 0 || port > 65535) throw std::invalid_argument("--listen has no such port");
  return {asio::ip::make_address(listen.substr(0, colon)), static_cast<std::uint16_t>(port)};
}

// One io_context a thread: nothing is shared between the threads but the constant.
void run(const std::string& listen, std::size_t threads, const std::string& contact) {
  Contexts contexts;
  std::vector<asio::executor_work_guard<Executor>> work;
  for (std::size_t i = 0; i < threads; ++i) {
    contexts.push_back(std::make_unique<asio::io_context>(1));
    work.emplace_back(contexts.back()->get_executor());
  }
  Acceptor acceptor(*contexts.front(), endpoint_of(listen));
  std::cout << "bench_bare_beast ready http://" << acceptor.local_endpoint() << std::endl;
  asio::co_spawn(*contexts.front(), accept(std::move(acceptor), contexts, contact), asio::detached);
  asio::signal_set signals(*contexts.front(), SIGINT, SIGTERM);
  signals.async_wait([&contexts](const boost::system::error_code& error, int) {
    if (error) return;
    for (const auto& context : contexts) context->stop();
  });

  std::vector<std::jthread> others;
  for (std::size_t i = 1; i < threads; ++i)
    others.emplace_back([context = contexts[i].get()] { context->run(); });
  contexts.front()->run();
}

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file || content.empty()) throw std::runtime_error("cannot read " + path);
  return content;
}

}  // namespace

int main(int argc, char** argv) try {
  std::string listen = "127.0.0.1:0";
  std::string contact_file;
  std::size_t threads = 1;
  CLI::App app("A bare Beast server: checks a PATCH, answers a constant. SIGTERM ends it.");
  app.add_option("--listen", listen, "ADDRESS:PORT; port 0 picks a free one");
  app.add_option("--threads", threads, "I/O threads")->check(CLI::Range(1, 64));
  app.add_option("--contact", contact_file, "file with the answer's body; without it, an example");
  CLI11_PARSE(app, argc, argv);
  run(listen, threads,
      contact_file.empty() ? std::string(contact_of_the_reference) : content_of(contact_file));
  return 0;
} catch (const std::exception& error) {
  std::cerr << "bench_bare_beast: " << error.what() << '\n';
  return 1;
}
