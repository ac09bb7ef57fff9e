#include "tests/support/raw_connection.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace contactd::test {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const char* what) {
  throw std::system_error{errno, std::generic_category(), what};
}

// Returns false where the deadline passed first.
bool wait_for(int socket, short events, Clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    pollfd entry{socket, events, 0};
    const int ready = ::poll(&entry, 1, left.count() > 0 ? static_cast<int>(left.count()) : 0);
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) fail("poll");
  }
}

bool peer_is_gone() { return errno == EPIPE || errno == ECONNRESET; }

}  // namespace

RawConnection::RawConnection(std::uint16_t port)
    : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  if (socket_ < 0) fail("socket");
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    ::close(socket_);
    throw std::system_error{error, std::generic_category(), "connect"};
  }
}

RawConnection::RawConnection(RawConnection&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)) {}

RawConnection& RawConnection::operator=(RawConnection&& other) noexcept {
  std::swap(socket_, other.socket_);
  return *this;
}

RawConnection::~RawConnection() {
  if (socket_ >= 0) ::close(socket_);
}

bool RawConnection::send(std::string_view bytes) {
  const auto deadline = Clock::now() + answer_wait_max;
  while (!bytes.empty()) {
    if (!wait_for(socket_, POLLOUT, deadline)) return false;
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (peer_is_gone()) {
      return false;
    } else if (errno != EINTR && errno != EAGAIN) {
      fail("send");
    }
  }
  return true;
}

void RawConnection::finish_sending() {
  if (::shutdown(socket_, SHUT_WR) != 0 && errno != ENOTCONN) fail("shutdown");
}

void RawConnection::reset() {
  const linger at_once{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(std::exchange(socket_, -1));
}

RawConnection::Read RawConnection::read_some(std::string& received, milliseconds wait_max) {
  const auto deadline = Clock::now() + wait_max;
  std::array<char, 16'384> bytes;
  for (;;) {
    if (!wait_for(socket_, POLLIN, deadline)) return Read::timed_out;
    const ssize_t size = ::recv(socket_, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (size > 0) {
      received.append(bytes.data(), static_cast<std::size_t>(size));
      return Read::data;
    }
    if (size == 0 || peer_is_gone()) return Read::closed;
    if (errno != EINTR && errno != EAGAIN) fail("recv");
  }
}

RawConnection::Received RawConnection::read_until_close(milliseconds wait_max) {
  const auto deadline = Clock::now() + wait_max;
  Received received;
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    switch (read_some(received.bytes, left)) {
      case Read::data:
        break;
      case Read::closed:
        received.closed = true;
        return received;
      case Read::timed_out:
        return received;
    }
  }
}

std::string RawConnection::read_until(std::string_view end, milliseconds wait_max) {
  const auto deadline = Clock::now() + wait_max;
  std::string received;
  while (received.find(end) == std::string::npos) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    if (read_some(received, left) != Read::data) break;
  }
  return received;
}

}  // namespace contactd::test
