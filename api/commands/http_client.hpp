#pragma once

#include <memory>
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
  bool retry_after = false;  // it says when to ask again
};

// What the server says of a refusal, in one line: the sentence, and what is wrong with each field.
std::string sentence_of(const Answer& refusal);

// The server can't be reached, or doesn't answer; a sentence.
struct ServerUnreachable : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// The server has refused what the command can't do without; a sentence.
struct ServerRefused : std::runtime_error {
  ServerRefused(const Answer& answer);  // NOLINT(google-explicit-constructor)
};

// A client of a running server: one connection, which is kept, and made anew if the server has
// closed it meanwhile. Threads: one at a time.
class HttpClient {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;

  explicit HttpClient(const ServerOptions& server);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Sends one request with the server's key, and waits for its answer, but no longer than a limit.
  // Throws ServerUnreachable; the request may have been carried out then.
  Answer ask(std::string_view method, const std::string& target, const std::string& body = {},
             const Fields& fields = {});

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace contactd::api
