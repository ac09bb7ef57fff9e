#include "tests/system/patient_client.hpp"

#include <atomic>
#include <boost/json/parse.hpp>
#include <stdexcept>
#include <utility>

#include "tests/support/eventually.hpp"

namespace contactd::test {
namespace {

constexpr unsigned unavailable = 503;
constexpr unsigned conflict = 409;

bool is_to_be_asked_again(const Response& response) {
  return response.status == unavailable ||
         (response.status == conflict &&
          response.body.find("idempotent_request_in_progress") != std::string::npos);
}

}  // namespace

PatientClient::PatientClient(const std::vector<std::uint16_t>& ports, std::string api_key)
    : servers_(ports.begin(), ports.end()), api_key_(std::move(api_key)) {}

Response PatientClient::request(std::string_view method, std::string_view target, Headers headers,
                                const std::optional<std::string>& body) {
  headers.emplace_back("X-API-KEY", api_key_);
  Response response;
  const bool taken = eventually(
      [&] {
        response = servers_.at(current_).request(method, target, headers, body);
        if (!is_to_be_asked_again(response)) return true;
        current_ = (current_ + 1) % servers_.size();
        return false;
      },
      answer_wait_max);
  if (!taken) {
    throw std::runtime_error{std::string{method} + ' ' + std::string{target} +
                             " was not taken, but: " + std::to_string(response.status) + ' ' +
                             response.body};
  }
  return response;
}

std::string recorded_refusal_key() {
  static std::atomic<int> count = 0;
  return "recorded-refusal-" + std::to_string(++count);
}

void PatientClient::write_behind_all() {
  const Response refused =
      request("PATCH", path_of_nobody, {{"Idempotency-Key", recorded_refusal_key()}}, "{}");
  if (refused.status != 404) throw std::runtime_error{"nobody was found: " + refused.body};
}

}  // namespace contactd::test
