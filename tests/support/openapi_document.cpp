#include "tests/support/openapi_document.hpp"

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_to.hpp>
#include <stdexcept>
#include <utility>

namespace contactd::test {
namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 8> methods = {"get",     "put",  "post",  "delete",
                                                     "options", "head", "patch", "trace"};

std::string lowered(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::string raised(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

std::vector<std::string> segments_of(std::string_view path) {
  std::vector<std::string> segments;
  path = path.substr(0, path.find('?'));
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::size_t end = std::min(path.find('/'), path.size());
    segments.emplace_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return segments;
}

bool is_parameter(std::string_view segment) {
  return segment.starts_with('{') && segment.ends_with('}');
}

bool matches(const std::vector<std::string>& pattern, const std::vector<std::string>& segments) {
  return std::equal(pattern.begin(), pattern.end(), segments.begin(), segments.end(),
                    [](const std::string& expected, const std::string& segment) {
                      return is_parameter(expected) ? !segment.empty() : expected == segment;
                    });
}

// The path of the first server's address that applies to a path item; empty for none or `/`.
std::string base_path(const json::value& document, const json::object& item) {
  const json::value* servers = item.if_contains("servers");
  if (servers == nullptr) servers = document.as_object().if_contains("servers");
  if (servers == nullptr || servers->as_array().empty()) return {};
  std::string url = json::value_to<std::string>(servers->as_array().front().at("url"));
  if (const std::size_t scheme = url.find("://"); scheme != std::string::npos) {
    const std::size_t path = url.find('/', scheme + 3);
    url = path == std::string::npos ? "" : url.substr(path);
  }
  if (url.ends_with('/')) url.pop_back();
  return url;
}

// The name in a document of a method as requests have it; methods are case-sensitive.
std::string operation_name(const std::string& method) {
  return raised(method) == method ? lowered(method) : "";
}

const json::object* object_in(const json::object& parent, std::string_view name) {
  const json::value* const value = parent.if_contains(name);
  return value == nullptr ? nullptr : value->if_object();
}

// The answer of a status: by itself, by its class (`4XX`), or the default.
const json::object* answer_of(const json::object& operation, unsigned status) {
  const json::object* const answers = object_in(operation, "responses");
  if (answers == nullptr) return nullptr;
  const std::string code = std::to_string(status);
  for (const std::string& key : {code, code.substr(0, 1) + "XX", std::string{"default"}}) {
    if (const json::object* answer = object_in(*answers, key)) return answer;
  }
  return nullptr;
}

// What every error must have, also those that belong to no documented operation.
std::vector<std::string> about_plain_error(const Exchange& exchange, unsigned expected_status) {
  const Response& response = exchange.response;
  if (response.status != expected_status) {
    return {"it is not documented, so it should be " + std::to_string(expected_status) +
            ", but is " + std::to_string(response.status)};
  }
  if (exchange.method == "HEAD") return {};
  const json::value body = response.json();
  const json::object* const object = body.if_object();
  const json::value* const error = object == nullptr ? nullptr : object->if_contains("error");
  if (error == nullptr || !error->is_string()) return {"the error's body has no `error`"};
  return {};
}

}  // namespace

OpenApiDocument::OpenApiDocument(json::value document) : document_(std::move(document)) {
  if (!document_.is_object() || !document_.as_object().contains("paths")) {
    throw std::runtime_error{"this is no OpenAPI document: " + json::serialize(document_)};
  }
  for (const auto& [path, unresolved] : document_.at("paths").as_object()) {
    json::object item = resolve_references(document_, unresolved).as_object();
    const std::string name{path};
    auto segments = segments_of(base_path(document_, item) + name);
    routes_.push_back({name, std::move(segments), std::move(item)});
  }
  // A path without parameters goes before one that would match it too.
  const auto rank = [](const Route& route) {
    const auto& segments = route.segments;
    return std::pair{std::count_if(segments.begin(), segments.end(), is_parameter), route.path};
  };
  std::sort(routes_.begin(), routes_.end(),
            [&](const Route& a, const Route& b) { return rank(a) < rank(b); });
}

OpenApiDocument::~OpenApiDocument() = default;

const OpenApiDocument::Route* OpenApiDocument::find_route(std::string_view target) const {
  const auto segments = segments_of(target);
  for (const Route& route : routes_) {
    if (matches(route.segments, segments)) return &route;
  }
  return nullptr;
}

std::vector<std::string> OpenApiDocument::complaints_about(const Exchange& exchange) {
  const Response& response = exchange.response;
  const Route* const route = find_route(exchange.target);
  if (route == nullptr) return about_plain_error(exchange, 404);
  const json::object* operation = object_in(route->item, operation_name(exchange.method));
  if (operation == nullptr) return about_undocumented_method(exchange, *route);
  const json::object* const answer = answer_of(*operation, response.status);
  if (answer == nullptr)
    return {"the status " + std::to_string(response.status) + " isn't documented for it"};

  const DocumentedAnswer which{exchange.method, route->path, std::to_string(response.status)};
  const std::lock_guard lock{mutex_};
  seen_.insert(which);
  Complaints complaints = about_headers(which, *answer, response);
  for (Complaints more :
       {about_body(which, *answer, exchange), about_request(which, *operation, exchange)}) {
    complaints.insert(complaints.end(), more.begin(), more.end());
  }
  return complaints;
}

OpenApiDocument::Complaints OpenApiDocument::about_undocumented_method(const Exchange& exchange,
                                                                       const Route& route) {
  if (exchange.method == "OPTIONS" && exchange.response.status < 300) return {};
  if (exchange.method != "HEAD") return about_plain_error(exchange, 405);
  // A HEAD is its GET without the body (RFC 9110, section 9.3.2).
  const json::object* const get = object_in(route.item, "get");
  if (get == nullptr) return about_plain_error(exchange, 405);
  const json::object* const answer = answer_of(*get, exchange.response.status);
  if (answer == nullptr) return {"the status of this HEAD isn't documented for GET"};
  if (!exchange.response.body.empty()) return {"the answer to a HEAD has a body"};
  const std::lock_guard lock{mutex_};
  const DocumentedAnswer which{"GET", route.path, std::to_string(exchange.response.status)};
  return about_headers(which, *answer, exchange.response);
}

OpenApiDocument::Complaints OpenApiDocument::about_headers(const DocumentedAnswer& which,
                                                           const json::object& answer,
                                                           const Response& response) {
  Complaints complaints;
  const json::object* const headers = object_in(answer, "headers");
  if (headers == nullptr) return complaints;
  for (const auto& [key, header] : *headers) {
    const std::string name{key};
    const auto value = response.header(name);
    const json::value* const required = header.as_object().if_contains("required");
    if (!value && required != nullptr && *required == true) {
      complaints.push_back("the required header " + name + " is missing");
    }
    const json::value* const schema = header.as_object().if_contains("schema");
    if (!value || schema == nullptr) continue;
    for (const std::string& complaint :
         about_value(which.str() + " header " + name, *schema, json::value(*value))) {
      complaints.push_back("header " + name + ": " + *value + ": " + complaint);
    }
  }
  return complaints;
}

OpenApiDocument::Complaints OpenApiDocument::about_body(const DocumentedAnswer& which,
                                                        const json::object& answer,
                                                        const Exchange& exchange) {
  const Response& response = exchange.response;
  if (exchange.method == "HEAD") {
    if (!response.body.empty()) return {"the answer to a HEAD has a body"};
    return {};
  }
  const json::object* const content = object_in(answer, "content");
  if (content == nullptr || content->empty()) {
    if (response.body.empty()) return {};
    return {"a body is not documented: " + response.body};
  }
  const std::string type = response.media_type();
  const json::object* const media = object_in(*content, type);
  if (media == nullptr) return {"the media type '" + type + "' isn't documented for it"};
  const json::value* const schema = media->if_contains("schema");
  if (schema == nullptr || !type.ends_with("json")) return {};
  return about_value(which.str() + ' ' + type, *schema, response.json());
}

OpenApiDocument::Complaints OpenApiDocument::about_request(const DocumentedAnswer& which,
                                                           const json::object& operation,
                                                           const Exchange& exchange) {
  if (exchange.request_body.empty() || exchange.response.status >= 300) return {};
  const json::object* const request = object_in(operation, "requestBody");
  if (request == nullptr) return {};
  const json::object* const media =
      object_in(request->at("content").as_object(), exchange.request_media_type);
  if (media == nullptr) {
    return {"the media type '" + exchange.request_media_type +
            "' was taken, but isn't documented for the request"};
  }
  return about_value(which.str() + " request " + exchange.request_media_type, media->at("schema"),
                     json::parse(exchange.request_body));
}

OpenApiDocument::Complaints OpenApiDocument::about_value(const std::string& name,
                                                         const json::value& schema,
                                                         const json::value& value) {
  std::unique_ptr<JsonSchema>& checked = schemas_[name];
  if (checked == nullptr) checked = std::make_unique<JsonSchema>(schema);
  return checked->complaints_about(value);
}

std::set<DocumentedAnswer> OpenApiDocument::documented() const {
  std::set<DocumentedAnswer> all;
  for (const Route& route : routes_) {
    for (const std::string_view method : methods) {
      const json::object* const operation = object_in(route.item, method);
      const json::object* const answers =
          operation == nullptr ? nullptr : object_in(*operation, "responses");
      if (answers == nullptr) continue;
      for (const auto& [status, unused] : *answers) {
        all.insert({raised(std::string{method}), route.path, std::string{status}});
      }
    }
  }
  return all;
}

std::set<DocumentedAnswer> OpenApiDocument::seen() const {
  const std::lock_guard lock{mutex_};
  return seen_;
}

}  // namespace contactd::test
