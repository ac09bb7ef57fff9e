#include "api/commands/http_client.hpp"

#include <openssl/ssl.h>

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <limits>

#include "api/commands/interruption.hpp"
#include "api/commands/printable.hpp"

namespace contactd::api {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;

// Past the server's own limit for an outcome.
constexpr std::chrono::seconds request_wait_max{30};

// How long, and how often, one that is away or busy is asked.
constexpr std::chrono::seconds patience_max{120};
constexpr std::chrono::milliseconds retry_pause_first{100};
constexpr std::chrono::milliseconds retry_pause_max{5'000};
// A pause that is no longer is no news.
constexpr std::chrono::milliseconds untold_pause_max{1'000};

// What is wrong with a refused body, all of it; nothing if it isn't said in the server's way.
std::string violations_of(const json::value& details) try {
  std::string text;
  const auto add = [&text](const std::string& of, const json::value& sentence) {
    text += (text.empty() ? "" : "; ") + of + json::value_to<std::string>(sentence);
  };
  for (const json::value& sentence : details.at("formErrors").as_array()) add("", sentence);
  for (const auto& [field, sentences] : details.at("fieldErrors").as_object()) {
    for (const json::value& sentence : sentences.as_array()) {
      add(std::string{field} + ": ", sentence);
    }
  }
  return text;
} catch (const std::exception&) {
  return {};
}

// The `error` of a refusal; null if it isn't one of contactd's.
const json::value* error_in(const json::value& body) {
  const auto* object = body.if_object();
  const auto* error = object == nullptr ? nullptr : object->if_contains("error");
  return error != nullptr && error->is_string() ? error : nullptr;
}

// Or it is a proxy's, or of whatever else is at that address.
bool is_contactds(const Answer& answer) {
  if (answer.status < 300) return answer.body.starts_with('{');
  boost::system::error_code ec;
  const json::value body = json::parse(answer.body, ec);
  return !ec && error_in(body) != nullptr;
}

// Another try would be answered the same: the key isn't taken, or the server is read-only and so
// doesn't say when to try again.
bool is_final(const Answer& answer) {
  return answer.status == 401 || answer.status == 403 ||
         (answer.status == 503 && !answer.retry_after && is_contactds(answer));
}

// Those of a proxy too, whose server is away or slow.
bool is_for_later(const Answer& answer) {
  switch (answer.status) {
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
      return true;
    case 409:
      return sentence_of(answer) == "idempotent_request_in_progress";
    default:
      return false;
  }
}

std::optional<std::chrono::seconds> retry_after_of(const http::fields& header) {
  const auto found = header.find(http::field::retry_after);
  if (found == header.end()) return std::nullopt;
  const std::string_view text{found->value().data(), found->value().size()};
  std::uint32_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc::result_out_of_range) seconds = std::numeric_limits<std::uint32_t>::max();
  return std::chrono::seconds{end == text.data() + text.size() ? seconds : 0};
}

std::string when_to_ask_again(const Answer& answer) {
  const auto seconds = answer.retry_after.value_or(std::chrono::seconds{}).count();
  return seconds > 0 ? " (to be asked again in " + std::to_string(seconds) + " s)" : "";
}

// One connection's part in an outage: from when it is worth telling until the connection waits no
// more.
class PartOfOutage {
 public:
  explicit PartOfOutage(Outage& outage) : outage_(outage) {}
  ~PartOfOutage() {
    if (begun_) outage_.end();
  }
  PartOfOutage(const PartOfOutage&) = delete;
  PartOfOutage& operator=(const PartOfOutage&) = delete;
  void tell(const std::string& why) {
    if (!begun_) outage_.begin(why);
    begun_ = true;
  }

 private:
  Outage& outage_;
  bool begun_ = false;
};

std::string advice_on(const boost::system::error_code& problem) {
  if (problem.category() != asio::error::get_ssl_category()) return "is the server running there?";
  return "does it serve https, with a certificate for that name that this system trusts, or the "
         "authorities in --ca-file?";
}

}  // namespace

std::string sentence_of(const Answer& refusal) {
  boost::system::error_code ec;
  const json::value body = json::parse(refusal.body, ec);
  const auto* error = ec ? nullptr : error_in(body);
  if (error == nullptr) return refusal.body;
  std::string sentence{error->as_string()};
  const auto* details = body.as_object().if_contains("details");
  const std::string violations = details == nullptr ? "" : violations_of(*details);
  if (violations.empty() || violations == sentence) return sentence;
  return sentence.substr(0, sentence.find(": ")) + ": " + violations;  // it names the first few
}

ServerRefused::ServerRefused(const Answer& answer)
    : std::runtime_error("the server answered " + std::to_string(answer.status) +
                         (is_contactds(answer)
                              ? ": " + printable(sentence_of(answer)) + when_to_ask_again(answer)
                              : ", and not as contactd does; check --url, and what is between")) {}

void Outage::begin(const std::string& why) {
  if (waiting_++ > 0) return;
  std::fprintf(stderr, "contactd: %s; trying again for up to %lld s\n", printable(why).c_str(),
               static_cast<long long>(patience_max.count()));
}

class HttpClient::Impl {
 public:
  explicit Impl(const ServerOptions& server) : server_(server) {
    if (!server_.tls) return;
    boost::system::error_code ec;
    context_.set_verify_mode(asio::ssl::verify_peer);
    SSL_CTX_set_min_proto_version(context_.native_handle(), TLS1_2_VERSION);
    if (server_.ca_file.empty()) {
      context_.set_default_verify_paths(ec);
    } else {
      context_.load_verify_file(server_.ca_file, ec);
    }
    if (ec) {
      throw ServerUnreachable("can't read the certificates in '" + server_.ca_file +
                              "': " + ec.message());
    }
  }

  Answer ask(std::string_view method, const std::string& target, const std::string& body,
             const Fields& fields) {
    http::request<http::string_body> request;
    request.method_string(method);
    request.target(target);
    const bool is_ipv6 = server_.host.find(':') != std::string::npos;
    const std::string host = is_ipv6 ? '[' + server_.host + ']' : server_.host;
    request.set(http::field::host, host + ":" + server_.port);
    request.set("X-API-KEY", server_.key);
    if (!body.empty()) request.set(http::field::content_type, "application/json");
    for (const auto& [name, value] : fields) request.set(name, value);
    request.body() = body;
    request.prepare_payload();
    try {
      return exchange(request);
    } catch (const boost::system::system_error& problem) {
      close();
      throw ServerUnreachable("can't ask " + server_.url + ": " + problem.code().message() + "; " +
                              advice_on(problem.code()));
    }
  }

 private:
  Answer exchange(const http::request<http::string_body>& request) {
    if (stream_ && closed_meanwhile()) close();
    if (!stream_) connect();
    http::response_parser<http::string_body> parser;
    parser.body_limit(std::numeric_limits<std::uint64_t>::max());  // it is a server of our own
    if (tls_) {
      exchange_on(*tls_, request, parser);
    } else {
      exchange_on(*stream_, request, parser);
    }
    if (!parser.get().keep_alive()) close();
    auto& message = parser.get();
    const bool replayed = message.count("Idempotent-Replay") > 0;
    const auto etag = message[http::field::etag];
    return {message.result_int(), std::move(message.body()), retry_after_of(message),
            std::string{etag.data(), etag.size()}, replayed};
  }

  template <class Stream>
  void exchange_on(Stream& stream, const http::request<http::string_body>& request,
                   http::response_parser<http::string_body>& parser) {
    run([&](auto done) { http::async_write(stream, request, done); });
    run([&](auto done) { http::async_read(stream, buffer_, parser, done); });
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
    if (!server_.tls) return;
    tls_.emplace(*stream_, context_);
    tls_->set_verify_callback(asio::ssl::host_name_verification{server_.host});
    // As SSL_set_tlsext_host_name(), a macro of casts, does it.
    std::string host = server_.host;
    SSL_ctrl(tls_->native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
             host.data());
    run([&](auto done) { tls_->async_handshake(asio::ssl::stream_base::client, done); });
  }

  void close() {
    tls_.reset();
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
  asio::ssl::context context_{asio::ssl::context::tls_client};
  std::optional<beast::tcp_stream> stream_;
  std::optional<asio::ssl::stream<beast::tcp_stream&>> tls_;  // on stream_
  beast::flat_buffer buffer_;
};

HttpClient::HttpClient(const ServerOptions& server, std::shared_ptr<Outage> outage)
    : impl_(std::make_unique<Impl>(server)), outage_(std::move(outage)) {}
HttpClient::~HttpClient() = default;

Answer HttpClient::ask(std::string_view method, const std::string& target, const std::string& body,
                       const Fields& fields) {
  Answer answer = impl_->ask(method, target, body, fields);
  if (!is_contactds(answer) && !is_for_later(answer)) throw ServerRefused(answer);
  outage_->answered();
  return answer;
}

Answer HttpClient::ask_patiently(std::string_view method, const std::string& target,
                                 const std::string& body, const Fields& fields) {
  using Clock = std::chrono::steady_clock;
  const auto give_up = Clock::now() + patience_max;
  PartOfOutage outage{*outage_};
  for (auto pause = retry_pause_first;; pause = std::min(2 * pause, retry_pause_max)) {
    std::chrono::milliseconds wait = pause;
    try {
      Answer answer = ask(method, target, body, fields);
      if (is_final(answer)) throw ServerRefused(answer);
      if (!is_for_later(answer)) return answer;
      if (answer.retry_after) wait = std::max<std::chrono::milliseconds>(wait, *answer.retry_after);
      if (Clock::now() + wait > give_up) throw ServerRefused(answer);
      if (wait > untold_pause_max) outage.tell(ServerRefused{answer}.what());
    } catch (const ServerUnreachable& problem) {
      if (!outage_->has_answered() || Clock::now() + wait > give_up) throw;
      outage.tell(problem.what());
    }
    sleep_unless_interrupted(wait);
  }
}

}  // namespace contactd::api
