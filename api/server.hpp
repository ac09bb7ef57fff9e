#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "api/services.hpp"

namespace contactd::api {

class TlsCredentials;

// The HTTP side: one acceptor, and lanes, each a thread with its own event loop and connections,
// which never move. Speaks HTTP/1.1 and 1.0, with keep-alive and pipelining; on TLS if it is told
// to.
//
// Threads: start(), drain() and stop() from one; each at most once, in this order.
class Server {
 public:
  struct Settings {
    std::string host;
    std::uint16_t port = 0;
    unsigned lanes = 1;
    std::size_t connections_max = 0;
    std::chrono::milliseconds header_timeout{};
    std::chrono::milliseconds request_timeout{};
    std::chrono::milliseconds idle_timeout{};
    std::chrono::milliseconds feed_heartbeat{};  // between two signs of life of a stream
    std::chrono::milliseconds feed_stall{};  // what a stream's client may take for what it is sent
    std::size_t connections_per_address_max = 0;  // 0: no limit
    const TlsCredentials* tls = nullptr;          // null: in the clear; must outlive the server
  };

  // `services` must outlive the server. Throws std::runtime_error if it can't listen.
  Server(const Settings& settings, const Services& services);
  ~Server();

  void start();
  // Where it listens: the address as given, with the port that it got.
  std::string url() const;
  // Stops accepting and closes idle connections at once; lets requests under way finish for at
  // most `patience`, then cuts them. Returns whether all finished.
  bool drain(std::chrono::milliseconds patience);
  // Cuts a drain short, from another thread: what it waits for is cut at once.
  void hurry();
  // Ends the threads. To be called once the writers were stopped: they deliver to the lanes.
  void stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace contactd::api
