#include "api/webhook_json.hpp"

#include <cstdlib>

#include "api/query_values.hpp"
#include "domain/json_text.hpp"

namespace contactd::api {
namespace {

using domain::json_string;

std::string_view state_name(infra::WebhookDelivery::State state) {
  using State = infra::WebhookDelivery::State;
  switch (state) {
    case State::pending:
      return "pending";
    case State::delivered:
      return "delivered";
    case State::given_up:
      return "given_up";
  }
  std::abort();
}

}  // namespace

std::string webhook_json(const domain::Webhook& webhook, const std::string* secret,
                         std::string_view unserved_reason) {
  const domain::WebhookSettings& settings = webhook.settings;
  std::string out = R"({"id":)" + json_string(webhook.id) + R"(,"url":)" +
                    json_string(settings.url) + R"(,"description":)" +
                    json_string(settings.description) + R"(,"types":[)";
  for (std::size_t i = 0; i < settings.types.size(); ++i) {
    if (i > 0) out += ',';
    out += json_string(settings.types[i]);
  }
  out += R"(],"enabled":)";
  out += settings.enabled ? "true" : "false";
  out += R"(,"disabled_reason":)";
  out += webhook.disabled_reason.empty() ? "null" : json_string(webhook.disabled_reason);
  if (secret != nullptr) out += R"(,"secret":)" + json_string(*secret);
  out += R"(,"secret_rotated_at":)";
  out += domain::json_time(webhook.rotated_at);
  out += R"(,"created_at":)" + domain::json_time(webhook.created_at) + R"(,"updated_at":)" +
         domain::json_time(webhook.updated_at) + R"(,"unserved_reason":)";
  out += unserved_reason.empty() ? "null" : json_string(unserved_reason);
  return out + '}';
}

std::string delivery_json(const infra::WebhookDelivery& delivery, bool served) {
  std::string out = R"({"id":")";
  append_hex(out, delivery.offset, 16);
  out += R"(","event_id":")" + delivery.event.str() + R"(","type":)" + json_string(delivery.type) +
         R"(,"contact_id":")" + delivery.contact.str() + R"(","version":)" +
         std::to_string(delivery.version) + R"(,"state":")";
  out += state_name(delivery.state);
  out += R"(","next_attempt_at":)";
  const bool pending = delivery.state == infra::WebhookDelivery::State::pending;
  out += pending && served ? domain::json_time(delivery.next_attempt) : "null";
  out += R"(,"attempts":[)";
  for (std::size_t i = 0; i < delivery.attempts.size(); ++i) {
    const infra::WebhookAttempt& attempt = delivery.attempts[i];
    if (i > 0) out += ',';
    out += R"({"at":)" + domain::json_time(attempt.at) + R"(,"status":)";
    out += attempt.status > 0 ? std::to_string(attempt.status) : "null";
    out += R"(,"failure":)";
    out += attempt.failure.empty() ? "null" : json_string(attempt.failure);
    out += R"(,"took_ms":)" + std::to_string(attempt.took_ms) + R"(,"manual":)";
    out += attempt.by_hand ? "true" : "false";
    out += '}';
  }
  return out + "]}";
}

}  // namespace contactd::api
