#include "infra/webhook_client.hpp"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <charconv>
#include <cstdlib>
#include <memory>
#include <optional>
#include <thread>

#include "infra/clock.hpp"
#include "infra/log.hpp"
#include "infra/outbound_address.hpp"

namespace contactd::infra {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using error_code = boost::system::error_code;

constexpr auto await = asio::as_tuple(asio::use_awaitable);

using Steady = std::chrono::steady_clock;

constexpr std::size_t addresses_max = 4;  // of one name that are tried
// How long one may be silent before the next one is tried beside it (RFC 8305, section 5).
constexpr std::chrono::milliseconds head_start{250};
constexpr std::size_t answer_header_bytes_max = 16'384;
constexpr std::size_t answer_body_bytes_max = 65'536;
constexpr std::size_t answer_piece_bytes = 4'096;
constexpr int interim_answers_max = 4;  // of status 1xx, before the one that counts

bool is_public(const asio::ip::address& address) {
  return address.is_v4() ? is_public_v4(address.to_v4().to_bytes())
                         : is_public_v6(address.to_v6().to_bytes());
}

bool is_address(const std::string& host) {
  error_code ec;
  asio::ip::make_address(host, ec);
  return !ec;
}

// So that the other side can choose the right certificate (RFC 6066, section 3).
void name_host(SSL* connection, std::string host) {
  SSL_ctrl(connection, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, host.data());
}

// Where a name leads to.
struct Resolved {
  std::vector<tcp::endpoint> endpoints;
  SendFailure failure = SendFailure::none;
};

// Of IPv6 and IPv4 by turns, each in the order given: what filters one of all that are tried, often
// filters the whole family (RFC 8305, section 4).
std::vector<tcp::endpoint> by_turns(std::vector<tcp::endpoint> endpoints) {
  const bool six_first = !endpoints.empty() && endpoints.front().address().is_v6();
  const auto others = std::stable_partition(
      endpoints.begin(), endpoints.end(),
      [six_first](const auto& endpoint) { return endpoint.address().is_v6() == six_first; });
  std::vector<tcp::endpoint> mixed;
  for (auto one = endpoints.begin(), other = others; one != others || other != endpoints.end();) {
    if (one != others) mixed.push_back(*one++);
    if (other != endpoints.end()) mixed.push_back(*other++);
  }
  return mixed;
}

Resolved checked(const NameResolver::Addresses& addresses, const WebhookUrl& to,
                 bool allow_private) {
  if (addresses.empty()) return {{}, SendFailure::unknown_name};
  std::uint16_t port = 0;
  std::from_chars(to.port.data(), to.port.data() + to.port.size(), port);
  Resolved resolved;
  for (const auto& address : addresses) {
    if (allow_private || is_public(address)) resolved.endpoints.emplace_back(address, port);
  }
  resolved.endpoints = by_turns(std::move(resolved.endpoints));
  if (resolved.endpoints.size() > addresses_max) resolved.endpoints.resize(addresses_max);
  if (resolved.endpoints.empty()) resolved.failure = SendFailure::private_address;
  return resolved;
}

// Connections that are being made, the first of which to be made is kept. Shared with them: they
// may end after all that is waited for.
struct Race {
  explicit Race(asio::io_context& io) : outcome(io) {}

  static void begin(const std::shared_ptr<Race>& race, const tcp::endpoint& endpoint) {
    const auto socket = std::make_shared<tcp::socket>(race->outcome.get_executor());
    race->begun.push_back(socket);
    ++race->open;
    socket->async_connect(endpoint, [race, socket](const error_code& ec) {
      --race->open;
      if (!ec && !race->won) race->won = std::move(*socket);
      race->outcome.cancel();
    });
  }

  asio::steady_timer outcome;  // cut when there is one
  std::vector<std::shared_ptr<tcp::socket>> begun;
  std::size_t open = 0;  // without an outcome
  std::optional<tcp::socket> won;
};

// A connection to whichever endpoint takes one first; nothing if all refuse, or at the deadline.
// One that is silent keeps the others waiting for its head start, and takes none of their time.
asio::awaitable<std::optional<tcp::socket>> connect_to_first(asio::io_context& io,
                                                             std::vector<tcp::endpoint> endpoints,
                                                             Steady::time_point deadline) {
  const auto race = std::make_shared<Race>(io);
  auto next = endpoints.begin();
  while (!race->won && Steady::now() < deadline) {
    if (next != endpoints.end()) {
      Race::begin(race, *next++);
    } else if (race->open == 0) {
      break;
    }
    const bool all = next == endpoints.end();
    race->outcome.expires_at(all ? deadline : std::min(deadline, Steady::now() + head_start));
    co_await race->outcome.async_wait(await);
  }
  for (const auto& socket : race->begun) {
    error_code ignored;
    socket->close(ignored);
  }
  co_return std::move(race->won);
}

// A socket that is closed once its time is over, whatever it is at.
class TimedSocket {
 public:
  TimedSocket(asio::io_context& io, tcp::socket socket, Steady::time_point deadline)
      : state_(
            std::make_shared<State>(State{std::move(socket), asio::steady_timer{io, deadline}})) {
    wait();
  }
  ~TimedSocket() { state_->timer.cancel(); }
  TimedSocket(const TimedSocket&) = delete;
  TimedSocket& operator=(const TimedSocket&) = delete;

  tcp::socket& operator*() const { return state_->socket; }
  // From now on it has no more than this.
  void shorten(std::chrono::milliseconds left) const {
    if (state_->timer.expiry() <= Steady::now() + left) return;
    state_->timer.expires_after(left);
    wait();
  }
  SendResult failed(SendFailure failure) const {
    return {0, state_->overdue ? SendFailure::timeout : failure};
  }

 private:
  void wait() const {
    state_->timer.async_wait([state = state_](const error_code& ec) {
      if (ec) return;
      state->overdue = true;
      error_code ignored;
      state->socket.close(ignored);
    });
  }

  struct State {
    tcp::socket socket;
    asio::steady_timer timer;
    bool overdue = false;
  };
  std::shared_ptr<State> state_;
};

using Request = http::request<http::string_body>;

Request request_of(OutboundMessage& message) {
  Request request{http::verb::post, message.to.target, 11};
  request.set(http::field::host, message.to.authority);
  request.set(http::field::user_agent, "contactd-webhooks");
  request.set(http::field::content_type, "application/json");
  request.set(http::field::accept, "*/*");
  request.keep_alive(false);
  for (const auto& [name, value] : message.fields) request.set(name, value);
  request.body() = std::move(message.body);
  request.prepare_payload();
  return request;
}

using AnswerParser = http::response_parser<http::buffer_body>;

SendResult result_of(const AnswerParser::value_type& answer) {
  SendResult result{static_cast<int>(answer.result_int())};
  const bool asks_to_wait = answer.result() == http::status::too_many_requests ||
                            answer.result() == http::status::service_unavailable;
  if (asks_to_wait)
    result.retry_after = retry_after(answer[http::field::retry_after], system_time());
  return result;
}

template <class Stream>
asio::awaitable<SendResult> exchange(Stream& stream, const TimedSocket& socket,
                                     const Request& request, std::chrono::milliseconds body_wait) {
  const auto [failed, sent] = co_await http::async_write(stream, request, await);
  if (failed) co_return socket.failed(SendFailure::no_connection);
  beast::flat_buffer buffer{answer_header_bytes_max};
  for (int interim = 0; interim < interim_answers_max; ++interim) {
    AnswerParser parser;
    parser.header_limit(answer_header_bytes_max);
    parser.body_limit(boost::none);  // one that is longer is an answer, too
    const auto [ec, read] = co_await http::async_read_header(stream, buffer, parser, await);
    if (ec) co_return socket.failed(SendFailure::broken_answer);
    if (parser.get().result_int() < 200) continue;
    const SendResult result = result_of(parser.get());
    // What follows is read, up to a bound: else the other side would find the connection reset
    // while it still writes. What comes of that is no matter.
    socket.shorten(body_wait);
    std::string piece(answer_piece_bytes, '\0');  // not in the coroutine's frame
    for (std::size_t count = 0; !parser.is_done() && count < answer_body_bytes_max;) {
      auto& body = parser.get().body();
      body.data = piece.data();
      body.size = piece.size();
      const auto [cut, more] = co_await http::async_read(stream, buffer, parser, await);
      if (cut && cut != http::error::need_buffer) break;
      count += piece.size() - body.size;
    }
    co_return result;
  }
  co_return SendResult{0, SendFailure::broken_answer};
}

}  // namespace

class WebhookClient::Impl {
 public:
  Impl(const Settings& settings, NameResolver::LookUp look_up)
      : settings_(settings), names_(std::move(look_up)) {
    tls_.set_default_verify_paths();
    tls_.set_verify_mode(asio::ssl::verify_peer);
    tls_.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                     asio::ssl::context::no_tlsv1_1);
    thread_ = std::thread{[this] {
      pthread_setname_np(pthread_self(), "webhooks-io");
      io_.run();
    }};
  }

  ~Impl() {
    io_.stop();
    thread_.join();
  }

  void send(OutboundMessage message, std::function<void(SendResult)> done) {
    auto shared = std::make_shared<Delivery>(Delivery{std::move(message), std::move(done)});
    asio::co_spawn(io_, deliver(shared), [shared](const std::exception_ptr& failure) {
      // Nothing in there is known to throw but for want of memory.
      if (failure) shared->done({0, SendFailure::broken_answer});
    });
  }

 private:
  struct Delivery {
    OutboundMessage message;
    std::function<void(SendResult)> done;
  };

  asio::awaitable<void> deliver(std::shared_ptr<Delivery> delivery) {
    const auto started = Steady::now();
    SendResult result = co_await attempt(delivery->message, started + settings_.timeout);
    result.took = std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - started);
    delivery->done(result);
    delivery->done = [](SendResult) {};
  }

  asio::awaitable<SendResult> attempt(OutboundMessage& message, Steady::time_point deadline) {
    const Resolved resolved = co_await look_up(message.to, deadline);
    if (resolved.failure != SendFailure::none) co_return SendResult{0, resolved.failure};
    auto connection = co_await connect_to_first(io_, resolved.endpoints, deadline);
    if (!connection) {
      const bool overdue = Steady::now() >= deadline;
      co_return SendResult{0, overdue ? SendFailure::timeout : SendFailure::no_connection};
    }
    const TimedSocket socket{io_, *std::move(connection), deadline};
    const bool tls = message.to.tls;
    const std::string host = message.to.host;
    const Request request = request_of(message);
    if (!tls) co_return co_await exchange(*socket, socket, request, settings_.body_wait);
    asio::ssl::stream<tcp::socket&> secure{*socket, tls_};
    secure.set_verify_callback(asio::ssl::host_name_verification{host});
    if (!is_address(host)) name_host(secure.native_handle(), host);
    const auto [refused] = co_await secure.async_handshake(asio::ssl::stream_base::client, await);
    if (refused) co_return socket.failed(SendFailure::tls);
    co_return co_await exchange(secure, socket, request, settings_.body_wait);
  }

  // After the deadline the answer is waited for no longer.
  asio::awaitable<Resolved> look_up(const WebhookUrl& to, Steady::time_point deadline) {
    struct Pending {
      asio::steady_timer timer;
      Resolved resolved{{}, SendFailure::timeout};
    };
    const auto pending = std::make_shared<Pending>(Pending{asio::steady_timer{io_, deadline}});
    const bool asked = names_.resolve(
        to.host, deadline,
        [this, pending, to, allow = settings_.allow_private](const auto& addresses) {
          asio::post(io_, [pending, resolved = checked(addresses, to, allow)]() mutable {
            pending->resolved = std::move(resolved);
            pending->timer.cancel();
          });
        });
    if (asked) co_await pending->timer.async_wait(await);
    co_return pending->resolved;
  }

  const Settings settings_;
  asio::ssl::context tls_{asio::ssl::context::tls_client};
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  NameResolver names_;  // after io_: what waits in it has timers of io_'s

  std::thread thread_;  // last: it touches all of the above
};

std::string_view name_of(SendFailure failure) {
  switch (failure) {
    case SendFailure::none:
      return "none";
    case SendFailure::unknown_name:
      return "unknown_name";
    case SendFailure::private_address:
      return "private_address";
    case SendFailure::no_connection:
      return "no_connection";
    case SendFailure::tls:
      return "tls";
    case SendFailure::timeout:
      return "timeout";
    case SendFailure::broken_answer:
      return "broken_answer";
  }
  std::abort();
}

WebhookClient::WebhookClient(const Settings& settings, NameResolver::LookUp look_up)
    : impl_(std::make_unique<Impl>(settings, std::move(look_up))) {}
WebhookClient::~WebhookClient() = default;

void WebhookClient::send(OutboundMessage message, std::function<void(SendResult)> done) {
  impl_->send(std::move(message), std::move(done));
}

}  // namespace contactd::infra
