#include "tests/support/json_schema.hpp"

#include <boost/json.hpp>
#include <stdexcept>
#include <valijson/adapters/boost_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

namespace contactd::test {
namespace {

namespace json = boost::json;
using valijson::adapters::BoostJsonAdapter;

constexpr int reference_depth_max = 64;

const json::value& find_pointer(const json::value& document, const std::string& reference) {
  if (!reference.starts_with("#/")) {
    throw std::runtime_error{"a reference that isn't local: " + reference};
  }
  boost::system::error_code ec;
  const json::value* const found = document.find_pointer(reference.substr(1), ec);
  if (found == nullptr) throw std::runtime_error{"a reference to nothing: " + reference};
  return *found;
}

// The validator looks at `format` even where the value isn't a string, and fails there; so it is
// kept only where nothing but a string is allowed. It is also slow; a pattern says more.
bool is_superfluous_format(const json::object& schema, json::string_view name) {
  if (name != "format") return false;
  const json::value* const type = schema.if_contains("type");
  return type == nullptr || *type != "string" || schema.contains("pattern");
}

json::value resolve(const json::value& document, const json::value& node, int depth) {
  if (depth > reference_depth_max) throw std::runtime_error{"a schema that refers to itself"};
  if (const auto* array = node.if_array()) {
    json::array resolved;
    for (const json::value& item : *array) resolved.push_back(resolve(document, item, depth + 1));
    return resolved;
  }
  const auto* object = node.if_object();
  if (object == nullptr) return node;
  if (const json::value* reference = object->if_contains("$ref")) {
    return resolve(document, find_pointer(document, json::value_to<std::string>(*reference)),
                   depth + 1);
  }
  json::object resolved;
  for (const auto& [name, value] : *object) {
    if (!is_superfluous_format(*object, name)) resolved[name] = resolve(document, value, depth + 1);
  }
  return resolved;
}

}  // namespace

struct JsonSchema::Impl {
  valijson::Schema schema;
  valijson::Validator validator;  // keeps the expressions of the patterns, once compiled
};

JsonSchema::JsonSchema(const json::value& schema) : impl_(std::make_unique<Impl>()) {
  valijson::SchemaParser parser;
  parser.populateSchema(BoostJsonAdapter{schema}, impl_->schema);
}

JsonSchema::~JsonSchema() = default;

std::vector<std::string> JsonSchema::complaints_about(const json::value& value) const {
  valijson::ValidationResults results;
  std::vector<std::string> complaints;
  if (impl_->validator.validate(impl_->schema, BoostJsonAdapter{value}, &results))
    return complaints;
  valijson::ValidationResults::Error error;
  while (results.popError(error)) {
    std::string where;
    for (const std::string& step : error.context) where += step;
    complaints.push_back(where + ": " + error.description);
  }
  return complaints;
}

json::value resolve_references(const json::value& document, const json::value& node) {
  return resolve(document, node, 0);
}

}  // namespace contactd::test
