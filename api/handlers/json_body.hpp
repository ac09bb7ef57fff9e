#pragma once

#include <algorithm>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/object.hpp>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "api/handlers/handlers.hpp"
#include "domain/contact/patch_reader.hpp"
#include "domain/strict_json.hpp"

// The one way from a request's body to what a handler wants of it, or to the answer that refuses
// it.
namespace contactd::api {

template <class Value>
using OrResponse = std::variant<Value, Response>;

// What `read` makes of the JSON in `body`: it gives back a std::variant of a value and
// domain::ValidationErrors.
template <class Read>
auto read_json(const Call& call, std::string_view body, const Read& read) {
  using Result = std::invoke_result_t<Read, const boost::json::value&>;
  using Value = std::variant_alternative_t<0, Result>;
  unsigned char memory[4096];
  boost::json::monotonic_resource arena{memory};
  const auto parsed = domain::parse_strict_json(body, &arena);
  if (const auto* error = std::get_if<domain::JsonError>(&parsed)) {
    const int status = error->kind == domain::JsonError::Kind::too_deep ? 413 : 400;
    return OrResponse<Value>{bad_json(call.format, status, error->message, error->duplicate_key)};
  }
  Result result = read(std::get<boost::json::value>(parsed));
  if (const auto* errors = std::get_if<domain::ValidationErrors>(&result)) {
    return OrResponse<Value>{validation_error(call.format, *errors)};
  }
  return OrResponse<Value>{std::get<Value>(std::move(result))};
}

// What `read` makes of the object in `body`, which has no other members than the `known` ones:
// it is called with the object and the errors to add to, and gives back a value.
template <class Read>
auto read_object(const Call& call, std::string_view body,
                 std::initializer_list<std::string_view> known, const Read& read) {
  using Value = std::invoke_result_t<Read, const boost::json::object&, domain::ValidationErrors&>;
  return read_json(
      call, body,
      [&](const boost::json::value& json) -> std::variant<Value, domain::ValidationErrors> {
        domain::ValidationErrors errors;
        const auto* object = json.if_object();
        if (object == nullptr) {
          errors.form.push_back("Expected object, received " +
                                std::string{domain::json_type_name(json)});
          return errors;
        }
        Value value = read(*object, errors);
        std::vector<std::string> unknown;
        for (const auto& member : *object) {
          const std::string_view name{member.key().data(), member.key().size()};
          if (std::find(known.begin(), known.end(), name) == known.end()) {
            unknown.emplace_back(name);
          }
        }
        domain::refuse_unknown_members(errors, unknown);
        if (!errors.empty()) return errors;
        return value;
      });
}

}  // namespace contactd::api
