#include "tests/system/feed_crowd.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <chrono>
#include <functional>
#include <system_error>

namespace contactd::test {
namespace {

constexpr int tick_ms = 20;
constexpr std::size_t read_bytes = 65'536;
// In every tick one in so many clients comes and goes, or begins or ends to stall.
constexpr std::size_t disturbed_one_in = 400;
// A connection that is let be, so that the rest of a long feed can be read.
constexpr std::size_t connects_a_tick_max = 100;
constexpr std::size_t complaints_max = 20;

}  // namespace

struct FeedCrowd::Client {
  std::size_t number = 0;
  int socket = -1;
  bool asked = false;  // connected, and the request was sent
  bool stalled = false;
  std::string head;  // of the response, until it is whole
  bool streaming = false;
  EventStreamParser parser;
  std::string last_id;
};

FeedCrowd::FeedCrowd(std::size_t clients, std::string key, std::uint64_t seed)
    : key_(std::move(key)), random_(seed), epoll_(epoll_create1(EPOLL_CLOEXEC)), seen_(clients) {
  if (epoll_ < 0) throw std::system_error{errno, std::generic_category(), "epoll_create1"};
  for (std::size_t i = 0; i < clients; ++i) {
    clients_.push_back(std::make_unique<Client>());
    clients_.back()->number = i;
  }
}

FeedCrowd::~FeedCrowd() {
  for (const auto& client : clients_) close(*client);
  ::close(epoll_);
}

std::size_t FeedCrowd::hash_of(const std::string& event_id) {
  return std::hash<std::string>{}(event_id);
}

void FeedCrowd::run(const Condition& done) {
  while (!done()) step(false);
}

bool FeedCrowd::run_to_the_end(std::size_t events, std::chrono::milliseconds limit) {
  for (const auto& client : clients_) {
    if (client->stalled) stall(*client, false);
  }
  const auto deadline = std::chrono::steady_clock::now() + limit;
  const auto lacking = [&] {
    return std::any_of(seen_.begin(), seen_.end(),
                       [&](const auto& seen) { return seen.size() < events; });
  };
  while (lacking()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    step(true);
  }
  return true;
}

void FeedCrowd::step(bool calm) {
  if (!calm) disturb();
  std::size_t connects = 0;
  for (const auto& client : clients_) {
    if (client->socket >= 0 || connects == connects_a_tick_max || port_ == 0) continue;
    ++connects;
    connect(*client);
  }
  std::array<epoll_event, 256> events{};
  const int count = epoll_wait(epoll_, events.data(), events.size(), tick_ms);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    handle(*static_cast<Client*>(event.data.ptr), event.events);
  }
}

void FeedCrowd::disturb() {
  const std::size_t staller_count = clients_.size() / 10;
  for (const auto& client : clients_) {
    if (client->socket < 0 || !random_.one_in(disturbed_one_in)) continue;
    if (client->number < staller_count) {
      stall(*client, !client->stalled);
    } else {
      close(*client);
    }
  }
}

void FeedCrowd::stall(Client& client, bool stalled) {
  client.stalled = stalled;
  if (stalled) ++stalls_;
  if (!client.asked) return;  // it is looked at again once it is connected
  epoll_event event{stalled ? 0U : EPOLLIN, {.ptr = &client}};
  epoll_ctl(epoll_, EPOLL_CTL_MOD, client.socket, &event);
}

void FeedCrowd::connect(Client& client) {
  client.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (client.socket < 0) throw std::system_error{errno, std::generic_category(), "socket"};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto* to = static_cast<const sockaddr*>(static_cast<const void*>(&address));
  if (::connect(client.socket, to, sizeof address) != 0 && errno != EINPROGRESS) {
    return close(client);
  }
  ++reconnects_;
  epoll_event event{EPOLLOUT, {.ptr = &client}};
  epoll_ctl(epoll_, EPOLL_CTL_ADD, client.socket, &event);
}

void FeedCrowd::handle(Client& client, std::uint32_t events) {
  if (client.socket < 0) return;
  if (client.asked) return read(client);
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) return close(client);
  Headers headers = {{"X-API-KEY", key_}, {"Accept", "text/event-stream"}};
  if (!client.last_id.empty()) headers.emplace_back("Last-Event-ID", client.last_id);
  const std::string request = request_text("GET", "/api/v1/events", headers, std::nullopt);
  if (::send(client.socket, request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    return close(client);
  }
  client.asked = true;
  epoll_event event{client.stalled ? 0U : EPOLLIN, {.ptr = &client}};
  epoll_ctl(epoll_, EPOLL_CTL_MOD, client.socket, &event);
}

void FeedCrowd::read(Client& client) {
  std::string bytes(read_bytes, '\0');
  const ssize_t count = ::recv(client.socket, bytes.data(), bytes.size(), 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) return close(client);
  bytes.resize(static_cast<std::size_t>(count));
  if (client.streaming) {
    client.parser.feed(bytes);
    return take(client);
  }
  client.head += bytes;
  const std::size_t end = client.head.find("\r\n\r\n");
  if (end == std::string::npos) return;
  const bool taken = client.head.starts_with("HTTP/1.1 200 ");
  if (!taken || client.head.find("\r\nContent-Length: ") < end) {
    // It is starting, or has too much to do at once: the next tick tries again.
    if (!taken && !client.head.starts_with("HTTP/1.1 503 ") &&
        complaints_.size() < complaints_max) {
      complaints_.push_back(client.head);
    }
    return close(client);
  }
  client.streaming = true;
  ++connected_;
  client.parser.feed(std::string_view{client.head}.substr(end + 4));
  client.head = {};
  take(client);
}

void FeedCrowd::take(Client& client) {
  while (const auto event = client.parser.next()) {
    const boost::json::value json = boost::json::parse(event->data);
    seen_[client.number].push_back(hash_of(boost::json::value_to<std::string>(json.at("id"))));
  }
  if (!client.parser.last_id().empty()) client.last_id = client.parser.last_id();
}

void FeedCrowd::close(Client& client) {
  if (client.socket >= 0) ::close(client.socket);
  if (client.streaming) --connected_;
  client.socket = -1;
  client.asked = client.streaming = false;
  client.head = {};
  client.parser = {};
}

}  // namespace contactd::test
