#include "api/webhook_request.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "api/limits.hpp"
#include "domain/contact/patch_reader.hpp"
#include "domain/strict_json.hpp"
#include "projections/history.hpp"

namespace contactd::api {
namespace {

namespace json = boost::json;
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

}  // namespace contactd::api
