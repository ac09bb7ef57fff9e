#include "domain/contact/patch_reader.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdlib>
#include <set>

#include "domain/email_address.hpp"
#include "domain/json_text.hpp"
#include "domain/strict_json.hpp"

namespace contactd::domain {
namespace {

namespace json = boost::json;

// An answer lists this many unknown members; a hostile body gets no more of itself back.
constexpr std::size_t unknown_members_listed_max = 20;

using ReadValue = std::variant<std::variant<Clear, FieldValue>, std::string>;  // value or sentence

std::string_view view(const json::string& text) { return {text.data(), text.size()}; }

std::string expected(std::string_view type, const json::value& received) {
  return "Expected " + std::string{type} + ", received " + std::string{json_type_name(received)};
}

std::string too_long(std::size_t length_max) {
  return "String must contain at most " + std::to_string(length_max) + " character(s)";
}

ReadValue read_text(const FieldSpec& spec, const json::value& value) {
  const auto* text = value.if_string();
  if (text == nullptr) return expected("string", value);
  if (count_characters(view(*text)) > spec.length_max) return too_long(spec.length_max);
  return FieldValue::text(view(*text));
}

ReadValue read_email(const json::value& value) {
  const auto* text = value.if_string();
  if (text == nullptr) return expected("string", value);
  const auto email = EmailAddress::parse(view(*text));
  if (!email) return std::string{"Invalid email"};
  return FieldValue::text(email->str());
}

ReadValue read_status(const json::value& value) {
  const std::string choice = "'active' | 'inactive'";
  const auto* text = value.if_string();
  if (text == nullptr) return expected(choice, value);
  if (view(*text) != status_active && view(*text) != status_inactive) {
    return "Invalid enum value. Expected " + choice + ", received '" + shortened(view(*text)) + "'";
  }
  return FieldValue::text(view(*text));
}

ReadValue read_tags(const FieldSpec& spec, const json::value& value) {
  const auto* array = value.if_array();
  if (array == nullptr) return expected("array", value);
  if (array->size() > tags_max) {
    return "Array must contain at most " + std::to_string(tags_max) + " element(s)";
  }
  std::vector<std::string> tags;
  tags.reserve(array->size());
  for (const json::value& item : *array) {
    const auto* text = item.if_string();
    if (text == nullptr) return expected("string", item);
    if (count_characters(view(*text)) > spec.length_max) return too_long(spec.length_max);
    tags.emplace_back(view(*text));
  }
  return FieldValue::list(tags);
}

ReadValue read_value(const FieldSpec& spec, const json::value& value) {
  switch (spec.kind) {
    case FieldKind::text:
      return read_text(spec, value);
    case FieldKind::nullable_text:
      if (value.is_null()) return std::variant<Clear, FieldValue>{Clear{}};
      return read_text(spec, value);
    case FieldKind::email:
      return read_email(value);
    case FieldKind::status:
      return read_status(value);
    case FieldKind::tags:
      return read_tags(spec, value);
  }
  std::abort();
}

}  // namespace

std::size_t count_characters(std::string_view utf8) {
  return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

void refuse_unknown_members(ValidationErrors& errors, const std::vector<std::string>& names) {
  if (names.empty()) return;
  std::string all;
  std::set<std::string> shown;
  const std::size_t listed = std::min(names.size(), unknown_members_listed_max);
  for (std::size_t i = 0; i < listed; ++i) {
    const std::string name = shortened(names[i]);
    all += (i == 0 ? "'" : ", '") + name + "'";
    // Two long names may look the same once they are shortened; a JSON object has each name once.
    if (shown.insert(name).second) errors.add(name, std::string{unknown_member});
  }
  if (listed < names.size()) all += " and " + std::to_string(names.size() - listed) + " more";
  errors.form.push_back(std::string{unknown_member} + "(s) in object: " + all);
}

std::variant<ContactPatch, ValidationErrors> read_patch(const json::value& body) {
  ValidationErrors errors;
  const auto* object = body.if_object();
  if (object == nullptr) {
    errors.form.push_back(expected("object", body));
    return errors;
  }
  ContactPatch patch;
  std::vector<std::string> unknown;
  for (const auto& member : *object) {
    const std::string_view name{member.key().data(), member.key().size()};
    const auto field = field_named(name);
    if (!field) {
      unknown.emplace_back(name);
      continue;
    }
    ReadValue read = read_value(spec_of(*field), member.value());
    if (auto* sentence = std::get_if<std::string>(&read)) {
      errors.add(name, std::move(*sentence));
    } else {
      patch.push_back({*field, std::get<0>(std::move(read))});
    }
  }
  refuse_unknown_members(errors, unknown);
  if (!errors.empty()) return errors;
  return patch;
}

}  // namespace contactd::domain
