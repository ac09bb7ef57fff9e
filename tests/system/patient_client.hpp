#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/http_client.hpp"

namespace contactd::test {

// A contact that isn't, and a new Idempotency-Key: with one, the answer to a change of the contact
// is a record of the log, so that a 404 tells that the server writes.
inline constexpr std::string_view path_of_nobody = "/api/v1/contacts/00000000000000000000";
std::string recorded_refusal_key();

// Asks the servers in turn until one takes the request: some may not own the partition, or not be
// back yet. An answer that the outcome is unknown is asked for again, so every change needs an
// Idempotency-Key.
class PatientClient {
 public:
  static constexpr std::chrono::milliseconds answer_wait_max{90'000};

  PatientClient(const std::vector<std::uint16_t>& ports, std::string api_key);

  // The first answer that isn't 503, nor that the same request is still under way.
  // Throws std::runtime_error with the last answer if there is none within `answer_wait_max`.
  Response request(std::string_view method, std::string_view target, Headers headers = {},
                   const std::optional<std::string>& body = std::nullopt);
  Response get(const std::string& target) { return request("GET", target); }

  // Has a refusal recorded in the organization's log. When it returns, whatever was decided before
  // is in the log or never will be.
  void write_behind_all();

  const std::string& api_key() const { return api_key_; }

 private:
  std::vector<HttpClient> servers_;
  std::string api_key_;
  std::size_t current_ = 0;  // the one that took the last request
};

}  // namespace contactd::test
