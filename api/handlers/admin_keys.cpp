#include "api/auth.hpp"
#include "api/cursor.hpp"
#include "api/handlers/handlers.hpp"
#include "api/handlers/json_body.hpp"
#include "api/limits.hpp"
#include "api/query_values.hpp"
#include "domain/json_text.hpp"
#include "infra/log.hpp"

// The operator's side: which keys there are. Keys are events of their organization.
namespace contactd::api {
namespace {

namespace json = boost::json;
using domain::json_string;

constexpr std::string_view find_out_if_made =
    "GET /admin/v1/keys tells whether there is a new key; revoke one that you weren't given";
constexpr std::string_view find_out_if_revoked = "GET /admin/v1/keys tells whether it is revoked";

// What refuses a request that changes something, before its body is looked at.
std::optional<Response> refuse_key_change(const Call& call) {
  if (auto refused = refuse_params(call)) return refused;
  if (auto refused = refuse_idempotency_key(call, "API keys", "/admin/v1/keys")) return refused;
  return refuse_preconditions(call, "API keys have no ETag");
}

// The key that the path names; or the refusal. Each instance folds what the others write, but
// later: where not all partitions are this one's, that a key isn't here doesn't mean that there is
// none.
OrResponse<domain::ApiKey> find_key(const Call& call) {
  // Before the look-up: what was made meanwhile needn't be known.
  const bool knows_all = call.services.partitions.know_all();
  auto key = call.services.store.api_key(call.id);
  if (key) return *std::move(key);
  if (knows_all) return rejection_response(call.format, domain::ApiKeyNotFound{});
  return overloaded(
      call.format,
      "This instance has no such API key, but another one may have made it meanwhile; nothing was "
      "changed. Check the id; if it is right, try again");
}

struct KeyRequest {
  domain::OrganizationId organization;
  std::string name;
  domain::Scopes scopes;
  std::optional<domain::Instant> expires_at;
};

struct RotateRequest {
  std::int64_t grace_seconds = limits::key_grace_seconds_default;
  std::optional<domain::Instant> expires_at;
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
    if (!scope) return errors.add("scopes", sentence);
    if (member.key() == "contacts") {
      request.scopes.contacts = *scope;
    } else if (member.key() == "webhooks") {
      request.scopes.webhooks = *scope;
    } else {
      return errors.add("scopes", sentence);
    }
  }
}

std::optional<domain::Instant> read_expiry(const json::object& object, domain::Instant now,
                                           domain::ValidationErrors& errors) {
  const auto* value = object.if_contains("expires_at");
  if (value == nullptr || value->is_null()) return std::nullopt;
  const auto text = text_of(*value);
  const auto time = text ? domain::parse_iso8601(*text) : std::nullopt;
  if (!time || *time <= now) {
    errors.add("expires_at", "Expected a time to come, such as 2030-01-31T00:00:00Z, or null");
  }
  return time;
}

std::int64_t read_grace(const json::object& object, domain::ValidationErrors& errors) {
  const auto* value = object.if_contains("grace_seconds");
  if (value == nullptr) return limits::key_grace_seconds_default;
  const auto* seconds = value->if_int64();
  if (seconds != nullptr && *seconds >= 0 && *seconds <= limits::key_grace_seconds_max) {
    return *seconds;
  }
  errors.add("grace_seconds",
             "Expected a whole number from 0 to " + std::to_string(limits::key_grace_seconds_max));
  return 0;
}

KeyRequest read_key_request(const json::object& object, domain::Instant now,
                            domain::ValidationErrors& errors) {
  KeyRequest request;
  read_organization(request, object.if_contains("organization"), errors);
  read_name(request, object.if_contains("name"), errors);
  read_scopes(request, object.if_contains("scopes"), errors);
  request.expires_at = read_expiry(object, now, errors);
  return request;
}

RotateRequest read_rotate_request(const json::object& object, domain::Instant now,
                                  domain::ValidationErrors& errors) {
  RotateRequest request;
  request.grace_seconds = read_grace(object, errors);
  request.expires_at = read_expiry(object, now, errors);
  return request;
}

std::string replaces_member(const domain::ApiKey& key) {
  return R"(,"replaces":)" + (key.replaces ? json_string(*key.replaces) : "null");
}

// The members that a creation and a listing share, after the id and the secret.
std::string shared_members(const domain::ApiKey& key) {
  std::string out = R"(,"organization":)" + json_string(key.organization.str()) + R"(,"name":)" +
                    json_string(key.name) + R"(,"scopes":{"contacts":")" +
                    std::string{name_of(key.scopes.contacts)} + '"';
  if (key.scopes.webhooks != domain::Scope::none) {
    out += R"(,"webhooks":")" + std::string{name_of(key.scopes.webhooks)} + '"';
  }
  return out + R"(},"created_at":)" + domain::json_time(key.created_at);
}

// A key just made, with its secret, which is shown this once.
std::string new_key_json(const domain::ApiKey& key, const std::string& secret) {
  std::string out =
      R"({"id":)" + json_string(key.id) + R"(,"key":)" + json_string(secret) + shared_members(key);
  if (key.expires_at) out += R"(,"expires_at":)" + domain::json_time(key.expires_at);
  if (key.replaces) out += replaces_member(key);
  return out + '}';
}

std::string listed_key_json(const domain::ApiKey& key, const KeyUsage& usage) {
  return R"({"id":)" + json_string(key.id) + shared_members(key) + R"(,"revoked_at":)" +
         domain::json_time(key.revoked_at) + R"(,"expires_at":)" +
         domain::json_time(key.expires_at) + R"(,"last_used_at":)" +
         domain::json_time(usage.last_use_of(key.id)) + replaces_member(key) + '}';
}

auto tell_new_key(const Call& call, std::string secret) {
  return [format = call.format, request = call.request.request_id,
          secret = std::move(secret)](const infra::Outcome& outcome) {
    const auto* created = std::get_if<infra::ApiKeyCreatedAnswer>(&outcome.answer);
    if (created == nullptr) return no_success(format, outcome, find_out_if_made);
    const domain::ApiKey& key = created->key;
    spdlog::info("request {}: API key {} was made for organization {}{}", request, key.id,
                 key.organization.str(), key.replaces ? " in place of " + *key.replaces : "");
    Response response;
    response.status = 201;
    response.body = R"({"data":)" + new_key_json(created->key, secret) + '}';
    return response;
  };
}

// Which keys are asked for.
struct KeysQuery {
  std::optional<domain::OrganizationId> organization;
  domain::KeyId after;
};

// What a cursor leads on in.
std::string keys_of(const std::optional<domain::OrganizationId>& organization) {
  return organization ? "keys of " + organization->str() : "keys";
}

std::variant<KeysQuery, std::string> read_keys_query(const Call& call) {
  KeysQuery query;
  std::string cursor;
  const auto read = [&](const auto& name, const auto& value) -> ErrorText {
    if (name == "organization") {
      query.organization = domain::OrganizationId::parse(value);
      if (query.organization) return std::nullopt;
      return "Invalid query parameter 'organization': give an organization's id";
    }
    if (name == "cursor") {
      cursor = value;
      return std::nullopt;  // read once it is known of which list
    }
    return "Unknown query parameter '" + name + "'; known are organization, cursor";
  };
  if (auto error = read_params(call.target, read)) return *std::move(error);
  if (cursor.empty()) return query;  // from the beginning
  const auto after = without_checksum(cursor, keys_of(query.organization));
  if (!after) return std::string{bad_cursor};
  query.after = *after;
  return query;
}

Response keys_response(const KeysQuery& query, const infra::ReadStore& store,
                       const KeyUsage& usage) {
  constexpr std::size_t limit = limits::keys_page_size_max;
  const auto keys = store.api_keys(query.organization, query.after, limit + 1);
  Response response;
  response.body = R"({"data":[)";
  const std::size_t count = std::min(keys.size(), limit);
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) response.body += ',';
    response.body += listed_key_json(keys[i], usage);
  }
  response.body += R"(],"next_cursor":)";
  response.body += keys.size() > limit
                       ? json_string(with_checksum(keys[limit - 1].id, keys_of(query.organization)))
                       : "null";
  response.body += '}';
  return response;
}

}  // namespace

Handled create_key(const Call& call) {
  if (auto refused = refuse_key_change(call)) return *std::move(refused);
  auto read = read_object(call, call.request.body, {"organization", "name", "scopes", "expires_at"},
                          [now = call.services.clock()](const auto& object, auto& errors) {
                            return read_key_request(object, now, errors);
                          });
  if (auto* refused = std::get_if<Response>(&read)) return std::move(*refused);
  const KeyRequest& request = std::get<KeyRequest>(read);
  const NewApiKey key = make_api_key();
  Write write = write_for(
      call, request.organization,
      domain::CreateApiKey{key.id, request.name, request.scopes, key.hash, request.expires_at});
  write.render = tell_new_key(call, key.text);
  return write;
}

Handled rotate_key(const Call& call) {
  if (auto refused = refuse_key_change(call)) return *std::move(refused);
  const std::string_view body = call.request.body.empty() ? "{}" : call.request.body;
  const domain::Instant now = call.services.clock();
  auto read = read_object(
      call, body, {"grace_seconds", "expires_at"},
      [now](const auto& object, auto& errors) { return read_rotate_request(object, now, errors); });
  if (auto* refused = std::get_if<Response>(&read)) return std::move(*refused);
  const RotateRequest& request = std::get<RotateRequest>(read);
  auto found = find_key(call);
  if (auto* refused = std::get_if<Response>(&found)) return std::move(*refused);
  const auto& old = std::get<domain::ApiKey>(found);
  const NewApiKey key = make_api_key();
  const domain::Instant old_ends_at{now.unix_ms + request.grace_seconds * 1000};
  Write write = write_for(
      call, old.organization,
      domain::RotateApiKey{old.id, key.id, key.hash, request.expires_at, old_ends_at, now});
  write.render = tell_new_key(call, key.text);
  return write;
}

Handled list_keys(const Call& call) {
  auto read = read_keys_query(call);
  if (const auto* sentence = std::get_if<std::string>(&read)) {
    return error_response(call.format, 400, *sentence);
  }
  return SlowRead{[query = std::get<KeysQuery>(std::move(read)), &store = call.services.store,
                   &usage = call.services.authenticator.usage()] {
    return keys_response(query, store, usage);
  }};
}

Handled revoke_key(const Call& call) {
  if (auto refused = refuse_key_change(call)) return *std::move(refused);
  auto found = find_key(call);
  if (auto* refused = std::get_if<Response>(&found)) return std::move(*refused);
  Write write =
      write_for(call, std::get<domain::ApiKey>(found).organization, domain::RevokeApiKey{call.id});
  write.render = [format = call.format,
                  request = call.request.request_id](const infra::Outcome& outcome) {
    const auto* revoked = std::get_if<infra::ApiKeyRevokedAnswer>(&outcome.answer);
    if (revoked == nullptr) return no_success(format, outcome, find_out_if_revoked);
    spdlog::info("request {}: API key {} was revoked", request, revoked->key);
    Response response;
    response.body = R"({"deleted":true,"id":)" + json_string(revoked->key) + '}';
    return response;
  };
  return write;
}

}  // namespace contactd::api
