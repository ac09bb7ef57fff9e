#include "domain/organization/webhook_codec.hpp"

#include <boost/json/array.hpp>
#include <charconv>
#include <limits>
#include <stdexcept>

#include "domain/json_text.hpp"

namespace contactd::domain {
namespace {

namespace json = boost::json;

constexpr std::size_t mark_digits = 16;

[[noreturn]] void unreadable(std::string_view member, std::string_view what) {
  throw std::runtime_error("member '" + std::string{member} + "' is no " + std::string{what});
}

const json::value& member_of(const json::object& object, std::string_view name) {
  static const json::value none;
  const auto* value = object.if_contains(name);
  return value == nullptr ? none : *value;
}

std::string text_of(const json::object& object, std::string_view name) {
  const auto* text = member_of(object, name).if_string();
  if (text == nullptr) unreadable(name, "string");
  return {text->data(), text->size()};
}

std::uint64_t number_of(const json::value& value, std::string_view name) {
  if (!value.is_int64() || value.get_int64() < 0) unreadable(name, "whole number");
  return static_cast<std::uint64_t>(value.get_int64());
}

const json::array& list_of(const json::object& object, std::string_view name) {
  const auto* list = member_of(object, name).if_array();
  if (list == nullptr) unreadable(name, "list");
  return *list;
}

MasterMark mark_of(const json::object& object) {
  const std::string text = text_of(object, "master");
  MasterMark mark = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), mark, 16);
  const bool whole = ec == std::errc{} && end == text.data() + text.size();
  if (!whole || text.size() != mark_digits) unreadable("master", "mark of 16 hexadecimal digits");
  return mark;
}

std::uint32_t generation_of(const json::object& object) {
  const std::uint64_t number = number_of(member_of(object, "generation"), "generation");
  if (number == 0 || number > std::numeric_limits<std::uint32_t>::max()) {
    unreadable("generation", "generation of a secret");
  }
  return static_cast<std::uint32_t>(number);
}

WebhookSettings settings_of(const json::object& object) {
  WebhookSettings settings{text_of(object, "url"), text_of(object, "description"), {}, false};
  for (const json::value& type : list_of(object, "types")) {
    if (!type.is_string()) unreadable("types", "list of strings");
    settings.types.emplace_back(type.get_string().data(), type.get_string().size());
  }
  const json::value& enabled = member_of(object, "enabled");
  if (!enabled.is_bool()) unreadable("enabled", "true or false");
  settings.enabled = enabled.get_bool();
  return settings;
}

WebhookProgressed progress_of(const json::object& object) {
  WebhookProgressed event{text_of(object, "webhook_id"), 0, {}};
  event.next_offset = number_of(member_of(object, "next_offset"), "next_offset");
  for (const json::value& offset : list_of(object, "pending")) {
    event.pending.push_back(number_of(offset, "pending"));
  }
  return event;
}

void append_id(std::string& out, const WebhookId& id) {
  out += R"({"webhook_id":)";
  append_json_string(out, id);
}

void append_settings(std::string& out, const WebhookSettings& settings) {
  out += R"(,"url":)";
  append_json_string(out, settings.url);
  out += R"(,"description":)";
  append_json_string(out, settings.description);
  out += R"(,"types":[)";
  for (std::size_t i = 0; i < settings.types.size(); ++i) {
    if (i > 0) out += ',';
    append_json_string(out, settings.types[i]);
  }
  out += R"(],"enabled":)";
  out += settings.enabled ? "true" : "false";
}

void append_mark(std::string& out, MasterMark mark) {
  char digits[mark_digits];
  const auto [end, ec] = std::to_chars(digits, digits + mark_digits, mark, 16);
  const auto length = static_cast<std::size_t>(end - digits);
  out += R"(,"master":")";
  out.append(mark_digits - length, '0').append(digits, length);
  out += '"';
}

}  // namespace

void append_data(std::string& out, const WebhookCreated& event) {
  append_id(out, event.webhook);
  append_settings(out, event.settings);
  append_mark(out, event.master);
  out += '}';
}

void append_data(std::string& out, const WebhookUpdated& event) {
  append_id(out, event.webhook);
  append_settings(out, event.settings);
  out += '}';
}

void append_data(std::string& out, const WebhookDisabled& event) {
  append_id(out, event.webhook);
  out += R"(,"reason":)";
  append_json_string(out, event.reason);
  out += '}';
}

void append_data(std::string& out, const WebhookSecretRotated& event) {
  append_id(out, event.webhook);
  out += R"(,"generation":)" + std::to_string(event.generation);
  append_mark(out, event.master);
  out += '}';
}

void append_data(std::string& out, const WebhookDeleted& event) {
  append_id(out, event.webhook);
  out += '}';
}

void append_data(std::string& out, const WebhookProgressed& event) {
  append_id(out, event.webhook);
  out += R"(,"next_offset":)" + std::to_string(event.next_offset) + R"(,"pending":[)";
  for (std::size_t i = 0; i < event.pending.size(); ++i) {
    if (i > 0) out += ',';
    out += std::to_string(event.pending[i]);
  }
  out += "]}";
}

std::optional<Event> read_webhook_event(std::string_view type, const json::object& data) {
  if (type == webhook_progressed) return progress_of(data);
  if (type == webhook_created) {
    return WebhookCreated{text_of(data, "webhook_id"), settings_of(data), mark_of(data)};
  }
  if (type == webhook_updated) {
    return WebhookUpdated{text_of(data, "webhook_id"), settings_of(data)};
  }
  if (type == webhook_disabled) {
    return WebhookDisabled{text_of(data, "webhook_id"), text_of(data, "reason")};
  }
  if (type == webhook_secret_rotated) {
    return WebhookSecretRotated{text_of(data, "webhook_id"), generation_of(data), mark_of(data)};
  }
  if (type == webhook_deleted) return WebhookDeleted{text_of(data, "webhook_id")};
  return std::nullopt;
}

}  // namespace contactd::domain
