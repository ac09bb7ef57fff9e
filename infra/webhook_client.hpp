#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "infra/name_resolver.hpp"
#include "infra/webhook_retry_after.hpp"
#include "infra/webhook_url.hpp"

namespace contactd::infra {

// Why no answer came.
enum class SendFailure : std::uint8_t {
  none,
  unknown_name,     // the host's name leads nowhere
  private_address,  // or only to addresses that must not be asked
  no_connection,
  tls,  // no TLS could be agreed on, or the certificate isn't the host's
  timeout,
  broken_answer,  // what came isn't HTTP, or the connection ended before it
};
std::string_view name_of(SendFailure failure);

struct SendResult {
  int status = 0;  // 0: no answer came
  SendFailure failure = SendFailure::none;
  std::chrono::milliseconds took{0};
  // How long a 429 or 503 asks to wait.
  std::optional<std::chrono::milliseconds> retry_after = {};

  bool delivered() const { return status >= 200 && status < 300; }
};

struct OutboundMessage {
  WebhookUrl to;
  std::vector<std::pair<std::string, std::string>> fields;  // besides Host and the like
  std::string body;
};

// Sends messages to the outside.
class WebhookSender {
 public:
  virtual ~WebhookSender() = default;

  // POSTs the message, and calls `done` once with what came of it, on some thread. `done` must not
  // block and must not throw. Threads: any.
  virtual void send(OutboundMessage message, std::function<void(SendResult)> done) = 0;
};

// Sends each message on a connection of its own, with one thread for all of them and a few for the
// look-up of names. A name is looked up once; of the addresses that it leads to, those that aren't
// public are left out, and the connection is made to one that was looked at, not to the name: to
// the first that takes it (RFC 8305), so that one that is silent doesn't use up the others' time.
// Certificates are checked, and redirects are an answer like any other. Of the answer the header
// counts, up to a bound; what follows is read for a while so that the other side can write it, and
// may be cut.
class WebhookClient final : public WebhookSender {
 public:
  struct Settings {
    bool allow_private = false;
    std::chrono::milliseconds timeout{15'000};   // from the look-up to the answer's header
    std::chrono::milliseconds body_wait{1'000};  // then for what follows it, within `timeout`
  };

  // Reads the system's certificates (or what SSL_CERT_FILE and SSL_CERT_DIR name).
  explicit WebhookClient(const Settings& settings, NameResolver::LookUp look_up = look_up_name);
  // Cuts what is under way, whose `done` is then never called. Waits for no look-up.
  ~WebhookClient() override;

  void send(OutboundMessage message, std::function<void(SendResult)> done) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace contactd::infra
