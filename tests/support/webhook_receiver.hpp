#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/certificate.hpp"
#include "tests/support/http_client.hpp"

namespace contactd::test {

// A request that a webhook was sent.
struct Received {
  std::string method;
  std::string target;
  Headers headers;
  std::string body;

  // The header's value, or an empty text.
  std::string header(std::string_view name) const;
};

// An HTTP server on 127.0.0.1 that stands for the other side's endpoint: notes what it gets and
// answers what the test wants. One thread a connection.
class WebhookReceiver {
 public:
  // How long deliveries may take that a test waits for.
  static constexpr std::chrono::milliseconds delivery_wait_max{60'000};

  // What is sent back: the whole answer, such as "HTTP/1.1 204 No Content\r\n\r\n"; nothing: the
  // connection is closed. Must own what it uses: it is called for as long as the receiver is there,
  // which in a fixture is longer than the test's own variables are.
  using Responder = std::function<std::string(const Received&)>;

  explicit WebhookReceiver(std::optional<Certificate> tls = std::nullopt);
  ~WebhookReceiver();

  std::uint16_t port() const;
  // Of 127.0.0.1, http or https.
  std::string url(const std::string& path = "/hook") const;

  // What is answered from now on; 204 at first.
  void answer(Responder responder);
  void answer_status(int status);
  // From now on requests are noted and their answers wait, until they are released.
  void hold_answers();
  void release_answers();
  // Closes the port, and opens the same one again.
  void go_away();
  void come_back();

  // What came so far and was answered with a 2xx, in the order in which the answers were sent.
  std::vector<Received> accepted() const;
  // Everything that came.
  std::vector<Received> received() const;
  bool wait_for_accepted(std::size_t count) const;
  bool wait_for_received(std::size_t count) const;
  // The most that were being answered at once.
  std::size_t at_once_max() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace contactd::test
