#include "tests/support/webhook_receiver.hpp"

#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <condition_variable>
#include <list>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "tests/support/child_process.hpp"

namespace contactd::test {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using error_code = boost::system::error_code;

template <class Stream>
std::optional<Received> read_request(Stream& stream) {
  error_code ec;
  std::string bytes;
  const std::size_t header_end =
      asio::read_until(stream, asio::dynamic_buffer(bytes), "\r\n\r\n", ec);
  if (ec) return std::nullopt;
  Received request;
  std::string head = bytes.substr(0, header_end);
  const std::size_t line_end = head.find("\r\n");
  const std::string line = head.substr(0, line_end);
  request.method = line.substr(0, line.find(' '));
  request.target = line.substr(line.find(' ') + 1, line.rfind(' ') - line.find(' ') - 1);
  std::size_t at = line_end + 2;
  while (at + 2 < header_end) {
    const std::size_t end = head.find("\r\n", at);
    const std::size_t colon = head.find(": ", at);
    request.headers.emplace_back(head.substr(at, colon - at),
                                 head.substr(colon + 2, end - colon - 2));
    at = end + 2;
  }
  const std::string length = request.header("Content-Length");
  const std::size_t wanted = header_end + (length.empty() ? 0 : std::stoul(length));
  if (bytes.size() < wanted) {
    asio::read(stream, asio::dynamic_buffer(bytes), asio::transfer_exactly(wanted - bytes.size()),
               ec);
    if (ec) return std::nullopt;
  }
  request.body = bytes.substr(header_end);
  return request;
}

bool is_success(const std::string& answer) { return answer.starts_with("HTTP/1.1 2"); }

}  // namespace

std::string Received::header(std::string_view name) const {
  for (const auto& [known, value] : headers) {
    if (same_header_name(known, name)) return value;
  }
  return {};
}

class WebhookReceiver::Impl {
 public:
  explicit Impl(const std::optional<Certificate>& tls) {
    if (tls) {
      context_.emplace(asio::ssl::context::tls_server);
      context_->use_certificate_chain_file(tls->certificate.string());
      context_->use_private_key_file(tls->key.string(), asio::ssl::context::pem);
    }
    open();
  }
  ~Impl() { close(); }

  void open() {
    const tcp::endpoint endpoint{asio::ip::address_v4::loopback(), port_};
    acceptor_.emplace(io_);
    acceptor_->open(endpoint.protocol());
    acceptor_->set_option(tcp::acceptor::reuse_address(true));
    acceptor_->bind(endpoint);
    acceptor_->listen();
    port_ = acceptor_->local_endpoint().port();
    accepting_ = std::thread{[this] { accept(); }};
  }
  void close() {
    if (!accepting_.joinable()) return;
    closing_ = true;
    hold(false);
    // An accept that blocks is woken by a connection.
    error_code ignored;
    tcp::socket waker{io_};
    waker.connect({asio::ip::address_v4::loopback(), port_}, ignored);
    accepting_.join();
    acceptor_.reset();
    for (std::thread& connection : connections_) connection.join();
    connections_.clear();
    closing_ = false;
  }

  void hold(bool held) {
    const std::lock_guard lock{mutex_};
    held_ = held;
    changed_.notify_all();
  }

  // It goes on to listen, since another program might get the port meanwhile.
  void be_away(bool away) { away_ = away; }

  std::uint16_t port() const { return port_; }
  bool tls() const { return context_.has_value(); }

  void answer(Responder responder) {
    const std::lock_guard lock{mutex_};
    responder_ = std::move(responder);
  }

  template <class Enough>
  bool wait(const Enough& enough) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, delivery_wait_max, enough);
  }

  // Its owner's, which asks under the lock. NOLINTBEGIN(readability-identifier-naming)
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::vector<Received> received_;
  std::vector<Received> accepted_;
  std::size_t under_way_ = 0;
  std::size_t at_once_max_ = 0;
  // NOLINTEND(readability-identifier-naming)

 private:
  void accept() {
    while (!closing_) {
      error_code ec;
      auto socket = std::make_shared<tcp::socket>(io_);
      acceptor_->accept(*socket, ec);
      if (ec || closing_ || away_) continue;  // closed at once
      connections_.emplace_back([this, socket] { serve(*socket); });
    }
  }

  void serve(tcp::socket& socket) {
    error_code ec;
    if (!context_) return exchange(socket);
    asio::ssl::stream<tcp::socket&> secure{socket, *context_};
    secure.handshake(asio::ssl::stream_base::server, ec);
    if (!ec) exchange(secure);
  }

  template <class Stream>
  void exchange(Stream& stream) {
    const auto request = read_request(stream);
    if (!request) return;
    Responder responder;
    {
      std::unique_lock lock{mutex_};
      received_.push_back(*request);
      at_once_max_ = std::max(at_once_max_, ++under_way_);
      changed_.notify_all();
      changed_.wait(lock, [this] { return !held_; });
      responder = responder_;
    }
    const std::string answer = responder(*request);
    {
      const std::lock_guard lock{mutex_};
      --under_way_;
      if (is_success(answer)) accepted_.push_back(*request);
      changed_.notify_all();
    }
    error_code ignored;
    asio::write(stream, asio::buffer(answer), ignored);
  }

  std::optional<asio::ssl::context> context_;
  asio::io_context io_;
  std::optional<tcp::acceptor> acceptor_;
  std::uint16_t port_ = 0;
  bool held_ = false;  // guarded by mutex_
  std::atomic<bool> closing_{false};
  std::atomic<bool> away_{false};
  std::list<std::thread> connections_;
  Responder responder_ = [](const Received&) { return "HTTP/1.1 204 No Content\r\n\r\n"; };
  std::thread accepting_;
};

WebhookReceiver::WebhookReceiver(std::optional<Certificate> tls)
    : impl_(std::make_unique<Impl>(tls)) {}
WebhookReceiver::~WebhookReceiver() = default;

std::uint16_t WebhookReceiver::port() const { return impl_->port(); }

std::string WebhookReceiver::url(const std::string& path) const {
  return (impl_->tls() ? "https" : "http") + std::string{"://127.0.0.1:"} + std::to_string(port()) +
         path;
}

void WebhookReceiver::answer(Responder responder) { impl_->answer(std::move(responder)); }

void WebhookReceiver::answer_status(int status) {
  answer([status](const Received&) {
    return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: 0\r\n\r\n";
  });
}

void WebhookReceiver::hold_answers() { impl_->hold(true); }
void WebhookReceiver::release_answers() { impl_->hold(false); }

void WebhookReceiver::go_away() { impl_->be_away(true); }
void WebhookReceiver::come_back() { impl_->be_away(false); }

std::vector<Received> WebhookReceiver::accepted() const {
  const std::lock_guard lock{impl_->mutex_};
  return impl_->accepted_;
}

std::vector<Received> WebhookReceiver::received() const {
  const std::lock_guard lock{impl_->mutex_};
  return impl_->received_;
}

bool WebhookReceiver::wait_for_accepted(std::size_t count) const {
  return impl_->wait([&] { return impl_->accepted_.size() >= count; });
}

bool WebhookReceiver::wait_for_received(std::size_t count) const {
  return impl_->wait([&] { return impl_->received_.size() >= count; });
}

std::size_t WebhookReceiver::at_once_max() const {
  const std::lock_guard lock{impl_->mutex_};
  return impl_->at_once_max_;
}

}  // namespace contactd::test
