#include <algorithm>
#include <boost/json/object.hpp>

#include "api/auth.hpp"
#include "api/handlers/handlers.hpp"
#include "api/limits.hpp"
#include "domain/contact/patch_reader.hpp"
#include "domain/json_text.hpp"
#include "domain/strict_json.hpp"

// The operator's side: which keys there are. Keys are events of their organization.
namespace contactd::api {
namespace {

namespace json = boost::json;
using domain::json_string;

struct KeyRequest {
  domain::OrganizationId organization;
  std::string name;
  domain::Scopes scopes;
};

std::optional<std::string> text_of(const json::value& value) {
  const auto* text = value.if_string();
  if (text == nullptr) return std::nullopt;
  return std::string{text->data(), text->size()};
}

void read_organization(KeyRequest& request, const json::value* value,
                       domain::ValidationErrors& errors) {
  const auto text = value == nullptr ? std::nullopt : text_of(*value);
  const auto id = text ? domain::OrganizationId::parse(*text) : std::nullopt;
  if (id) {
    request.organization = *id;
  } else {
    errors.add("organization", "Expected 1 to 64 characters of A-Z, a-z, 0-9, _ and -");
  }
}

void read_name(KeyRequest& request, const json::value* value, domain::ValidationErrors& errors) {
  auto text = value == nullptr ? std::nullopt : text_of(*value);
  const std::size_t length = text ? domain::count_characters(*text) : 0;
  if (length > 0 && length <= limits::key_name_characters_max) {
    request.name = *std::move(text);
  } else {
    errors.add("name", "Expected a string of 1 to " +
                           std::to_string(limits::key_name_characters_max) + " characters");
  }
}

void read_scopes(KeyRequest& request, const json::value* value, domain::ValidationErrors& errors) {
  constexpr auto sentence = R"(Expected an object such as {"contacts": "write"}, of none, read )"
                            R"(or write)";
  const auto* scopes = value == nullptr ? nullptr : value->if_object();
  if (scopes == nullptr) return errors.add("scopes", sentence);
  for (const auto& member : *scopes) {
    const auto text = text_of(member.value());
    const auto scope = text ? domain::scope_named(*text) : std::nullopt;
    if (member.key() != "contacts" || !scope) return errors.add("scopes", sentence);
    request.scopes.contacts = *scope;
  }
}

std::variant<KeyRequest, domain::ValidationErrors> read_key_request(const json::value& body) {
  domain::ValidationErrors errors;
  const auto* object = body.if_object();
  if (object == nullptr) {
    errors.form.push_back("Expected object, received " + std::string{domain::json_type_name(body)});
    return errors;
  }
  KeyRequest request;
  read_organization(request, object->if_contains("organization"), errors);
  read_name(request, object->if_contains("name"), errors);
  read_scopes(request, object->if_contains("scopes"), errors);
  std::vector<std::string> unknown;
  for (const auto& member : *object) {
    const std::string name{member.key().data(), member.key().size()};
    if (name != "organization" && name != "name" && name != "scopes") unknown.push_back(name);
  }
  domain::refuse_unknown_members(errors, unknown);
  if (!errors.empty()) return errors;
  return request;
}

// The members that a creation and a listing share. `secret` is shown once, at creation.
std::string key_json(const domain::ApiKey& key, const std::string* secret) {
  std::string out = R"({"id":)" + json_string(key.id);
  if (secret != nullptr) out += R"(,"key":)" + json_string(*secret);
  out += R"(,"organization":)" + json_string(key.organization.str()) + R"(,"name":)" +
         json_string(key.name) + R"(,"scopes":{"contacts":")" +
         std::string{name_of(key.scopes.contacts)} + R"("},"created_at":")" +
         domain::to_iso8601(key.created_at) + '"';
  if (secret == nullptr) {
    out += R"(,"revoked_at":)";
    out += key.revoked_at ? '"' + domain::to_iso8601(*key.revoked_at) + '"' : "null";
  }
  return out + '}';
}

Write write_for(const Call& call, const domain::OrganizationId& organization,
                domain::Command command) {
  Write write;
  write.writer = &call.services.partitions.writer_of(organization);
  write.submission.organization = organization;
  write.submission.command = std::move(command);
  write.submission.actor = "admin";
  write.submission.request_id = call.request.request_id;
  const ErrorFormat format = call.format;
  write.refuse = [format](infra::Refusal refusal) { return refusal_response(format, refusal); };
  return write;
}

// What is no success of a key command: rejected, not taken, or not known.
Response no_success(ErrorFormat format, const infra::Outcome& outcome) {
  if (const auto* rejection = std::get_if<domain::Rejection>(&outcome.answer)) {
    return rejection_response(format, *rejection);
  }
  if (std::holds_alternative<infra::NotTaken>(outcome.answer)) return not_taken(format);
  return unknown_outcome(format);
}

std::variant<std::vector<domain::ApiKey>, std::string> read_and_list(const Call& call,
                                                                     std::size_t limit) {
  std::optional<domain::OrganizationId> organization;
  domain::KeyId after;
  for (const auto& [name, value] : call.target.params) {
    if (name == "organization") {
      organization = domain::OrganizationId::parse(value);
      if (!organization) return "Invalid query parameter 'organization'";
    } else if (name == "cursor") {
      if (!value.empty() && !could_be_key_id(value)) {
        return "Invalid query parameter 'cursor': send next_cursor of an earlier answer as it came";
      }
      after = value;
    } else {
      return "Unknown query parameter '" + name + "'; known are organization, cursor";
    }
  }
  return call.services.store.api_keys(organization, after, limit + 1);
}

}  // namespace

Handled create_key(const Call& call) {
  if (auto refused = refuse_params(call)) return *std::move(refused);
  const auto parsed = domain::parse_strict_json(call.request.body, {});
  if (const auto* error = std::get_if<domain::JsonError>(&parsed)) {
    const int status = error->kind == domain::JsonError::Kind::too_deep ? 413 : 400;
    return bad_json(call.format, status, error->message, error->duplicate_key);
  }
  auto read = read_key_request(std::get<json::value>(parsed));
  if (const auto* errors = std::get_if<domain::ValidationErrors>(&read)) {
    return validation_error(call.format, *errors);
  }
  const KeyRequest& request = std::get<KeyRequest>(read);
  const NewApiKey key = make_api_key();
  Write write = write_for(call, request.organization,
                          domain::CreateApiKey{key.id, request.name, request.scopes, key.hash});
  write.render = [format = call.format, secret = key.text](const infra::Outcome& outcome) {
    const auto* created = std::get_if<infra::ApiKeyCreatedAnswer>(&outcome.answer);
    if (created == nullptr) return no_success(format, outcome);
    Response response;
    response.status = 201;
    response.body = R"({"data":)" + key_json(created->key, &secret) + '}';
    response.with("Cache-Control", "no-store");
    return response;
  };
  return write;
}

Handled list_keys(const Call& call) {
  constexpr std::size_t limit = limits::keys_page_size_max;
  auto read = read_and_list(call, limit);
  if (const auto* sentence = std::get_if<std::string>(&read)) {
    return error_response(call.format, 400, *sentence);
  }
  const auto& keys = std::get<0>(read);
  Response response;
  response.body = R"({"data":[)";
  const std::size_t count = std::min(keys.size(), limit);
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) response.body += ',';
    response.body += key_json(keys[i], nullptr);
  }
  response.body += R"(],"next_cursor":)";
  response.body += keys.size() > limit ? json_string(keys[limit - 1].id) : "null";
  response.body += '}';
  return response;
}

Handled revoke_key(const Call& call) {
  if (auto refused = refuse_params(call)) return *std::move(refused);
  const auto key = call.services.store.api_key(call.id);
  if (!key) return rejection_response(call.format, domain::ApiKeyNotFound{});
  Write write = write_for(call, key->organization, domain::RevokeApiKey{call.id});
  write.render = [format = call.format](const infra::Outcome& outcome) {
    const auto* revoked = std::get_if<infra::ApiKeyRevokedAnswer>(&outcome.answer);
    if (revoked == nullptr) return no_success(format, outcome);
    Response response;
    response.body = R"({"deleted":true,"id":)" + json_string(revoked->key) + '}';
    return response;
  };
  return write;
}

}  // namespace contactd::api
