#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/commands/options.hpp"

namespace contactd::api {

struct Answer {
  unsigned status = 0;
  std::string body;
  // When to ask again, if it says so; 0 if it says so otherwise than in seconds.
  std::optional<std::chrono::seconds> retry_after;
  std::string etag;       // as it stands there, in quotes
  bool replayed = false;  // the kept answer of a request with the same Idempotency-Key
};

// What the server says of a refusal, in one line: the sentence, and what is wrong with each field.
std::string sentence_of(const Answer& refusal);

// The server can't be reached, or doesn't answer; a sentence.
struct ServerUnreachable : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// The server has refused what the command can't do without, or what answers isn't contactd; a
// sentence.
struct ServerRefused : std::runtime_error {
  ServerRefused(const Answer& answer);  // NOLINT(google-explicit-constructor)
};

// A server that is away or busy for long, which all connections to it find out: it is told once, on
// standard error, until none waits for it any more. Threads: any.
class Outage {
 public:
  // Of a connection that begins to wait, and of one that has an answer or has given up.
  void begin(const std::string& why);
  void end() { --waiting_; }
  // There is a server: one that is away comes back.
  void answered() { answered_ = true; }
  bool has_answered() const { return answered_; }

 private:
  std::atomic<bool> answered_{false};
  std::atomic<int> waiting_{0};
};

// A client of a running server: one connection, which is kept, and made anew if the server has
// closed it meanwhile. Threads: one at a time.
class HttpClient {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;

  // `outage` is shared by those that ask the same server.
  explicit HttpClient(const ServerOptions& server,
                      std::shared_ptr<Outage> outage = std::make_shared<Outage>());
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Sends one request with the server's key, and waits for its answer, but no longer than a limit.
  // Throws ServerUnreachable; the request may have been carried out then. Throws ServerRefused if
  // it isn't contactd that answers, unless that may be what stands before it and doesn't reach it.
  Answer ask(std::string_view method, const std::string& target, const std::string& body = {},
             const Fields& fields = {});

  // The same, and again while the server is away or busy, not before it wants to be asked again,
  // until there is an answer that is one. So it may be carried out several times: for what changes
  // nothing, or has an Idempotency-Key. Throws ServerUnreachable if nobody has had an answer yet,
  // or for long; ServerRefused if the key isn't taken, if the server is read-only, is still busy at
  // the end of our patience, or wants to be asked again only after it;
  // Interrupted.
  Answer ask_patiently(std::string_view method, const std::string& target,
                       const std::string& body = {}, const Fields& fields = {});

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
  std::shared_ptr<Outage> outage_;
};

}  // namespace contactd::api
