#include "api/webhook_request.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "api/limits.hpp"
#include "api/query_values.hpp"
#include "domain/contact/patch_reader.hpp"
#include "domain/json_text.hpp"
#include "domain/strict_json.hpp"
#include "projections/history.hpp"

namespace contactd::api {
namespace {

namespace json = boost::json;
using domain::json_string;
using domain::ValidationErrors;
using projections::HistoryEntry;

// The types of events that webhooks are sent.
bool is_sent(std::string_view type) {
  constexpr std::array kinds = {HistoryEntry::Kind::created, HistoryEntry::Kind::updated,
                                HistoryEntry::Kind::deleted};
  return std::any_of(kinds.begin(), kinds.end(),
                     [&](auto kind) { return projections::type_of(kind) == type; });
}

class Reader {
 public:
  Reader(const infra::WebhookUrlRules& rules, domain::UpdateWebhook& request,
         ValidationErrors& errors)
      : rules_(rules), request_(request), errors_(errors) {}

  // False if no member is called that.
  bool read(std::string_view name, const json::value& value) {
    if (name == "url") {
      url(value);
    } else if (name == "description") {
      description(value);
    } else if (name == "types") {
      types(value);
    } else if (name == "enabled") {
      enabled(value);
    } else {
      return false;
    }
    return true;
  }

 private:
  void url(const json::value& value) {
    const auto* text = value.if_string();
    if (text == nullptr) return wrong_type("url", "string", value);
    const std::string_view url{text->data(), text->size()};
    const auto read = infra::read_webhook_url(url, rules_);
    if (const auto* sentence = std::get_if<std::string>(&read)) {
      errors_.add("url", *sentence);
    } else {
      request_.url = url;
    }
  }
  void description(const json::value& value) {
    const auto* text = value.if_string();
    if (text == nullptr) return wrong_type("description", "string", value);
    const std::string_view description{text->data(), text->size()};
    if (domain::count_characters(description) > limits::webhook_description_characters_max) {
      errors_.add("description", "Expected at most " +
                                     std::to_string(limits::webhook_description_characters_max) +
                                     " characters");
    } else {
      request_.description = description;
    }
  }
  void types(const json::value& value) {
    const auto* list = value.if_array();
    if (list == nullptr) return wrong_type("types", "array", value);
    std::vector<std::string> types;
    for (const json::value& item : *list) {
      const auto* text = item.if_string();
      const std::string type = text == nullptr ? "" : std::string{text->data(), text->size()};
      if (!is_sent(type)) {
        return errors_.add("types",
                           "Expected types of contacts' events, such as "
                           "contactd.contact.updated.v1; GET /schemas lists them");
      }
      if (std::find(types.begin(), types.end(), type) == types.end()) types.push_back(type);
    }
    request_.types = std::move(types);
  }
  void enabled(const json::value& value) {
    if (!value.is_bool()) return wrong_type("enabled", "boolean", value);
    request_.enabled = value.get_bool();
  }
  void wrong_type(std::string_view name, std::string_view expected, const json::value& value) {
    errors_.add(std::string{name}, "Expected " + std::string{expected} + ", received " +
                                       std::string{domain::json_type_name(value)});
  }

  const infra::WebhookUrlRules& rules_;
  domain::UpdateWebhook& request_;
  ValidationErrors& errors_;
};

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

std::variant<domain::UpdateWebhook, ValidationErrors> read_webhook_body(
    const json::value& body, const infra::WebhookUrlRules& rules, bool creation) {
  ValidationErrors errors;
  const auto* object = body.if_object();
  if (object == nullptr) {
    errors.form.push_back("Expected object, received " + std::string{domain::json_type_name(body)});
    return errors;
  }
  domain::UpdateWebhook request;
  Reader reader{rules, request, errors};
  std::vector<std::string> unknown;
  for (const auto& member : *object) {
    const std::string_view name{member.key().data(), member.key().size()};
    if (!reader.read(name, member.value())) unknown.emplace_back(name);
  }
  if (creation && !object->contains("url")) errors.add("url", "Required");
  domain::refuse_unknown_members(errors, unknown);
  if (!errors.empty()) return errors;
  return request;
}

std::string webhook_json(const domain::Webhook& webhook, const std::string* secret) {
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
         domain::json_time(webhook.updated_at) + '}';
  return out;
}

std::string delivery_json(const infra::WebhookDelivery& delivery, bool enabled) {
  std::string out = R"({"id":")";
  append_hex(out, delivery.offset, 16);
  out += R"(","event_id":")" + delivery.event.str() + R"(","type":)" + json_string(delivery.type) +
         R"(,"contact_id":")" + delivery.contact.str() + R"(","version":)" +
         std::to_string(delivery.version) + R"(,"state":")";
  out += state_name(delivery.state);
  out += R"(","next_attempt_at":)";
  const bool pending = delivery.state == infra::WebhookDelivery::State::pending;
  out += pending && enabled ? domain::json_time(delivery.next_attempt) : "null";
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
