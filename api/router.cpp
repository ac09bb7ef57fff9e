#include "api/router.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <variant>

#include "api/feed_events.hpp"
#include "api/handlers/handlers.hpp"
#include "api/http_grammar.hpp"
#include "api/limits.hpp"
#include "domain/json_text.hpp"
#include "infra/errors.hpp"
#include "infra/log.hpp"

namespace contactd::api {
namespace {

// What a key must be allowed.
struct NeededScope {
  domain::Scope domain::Scopes::* resource;
  domain::Scope level;
  std::string_view name;
};
constexpr NeededScope read_contacts{&domain::Scopes::contacts, domain::Scope::read,
                                    "contacts:read"};
constexpr NeededScope write_contacts{&domain::Scopes::contacts, domain::Scope::write,
                                     "contacts:write"};
constexpr NeededScope read_webhooks{&domain::Scopes::webhooks, domain::Scope::read,
                                    "webhooks:read"};
constexpr NeededScope write_webhooks{&domain::Scopes::webhooks, domain::Scope::write,
                                     "webhooks:write"};

struct Anybody {};
struct Admin {};
using Access = std::variant<Anybody, Admin, NeededScope>;

enum class Body : std::uint8_t { none, optional, required };

struct Endpoint {
  std::string_view method;
  Access access;
  Body body;
  Handled (*handle)(const Call&);
};

struct Route {
  std::string_view name;
  std::array<std::string_view, 7> path;  // segments; "{...}" takes any; unused ones are empty
  std::span<const Endpoint> endpoints;
};

constexpr Endpoint contact_endpoints[] = {
    {"GET", read_contacts, Body::none, get_contact},
    {"PATCH", write_contacts, Body::required, update_contact},
    {"DELETE", write_contacts, Body::none, delete_contact},
};
constexpr Endpoint history_endpoints[] = {{"GET", read_contacts, Body::none, get_history}};
constexpr Endpoint revert_endpoints[] = {{"POST", write_contacts, Body::required, revert_contact}};
constexpr Endpoint contacts_endpoints[] = {
    {"GET", read_contacts, Body::none, list_contacts},
    {"POST", write_contacts, Body::required, create_contact},
};
constexpr Endpoint events_endpoints[] = {{"GET", read_contacts, Body::none, get_events}};
constexpr Endpoint webhooks_endpoints[] = {
    {"GET", read_webhooks, Body::none, list_webhooks},
    {"POST", write_webhooks, Body::required, create_webhook},
};
constexpr Endpoint webhook_endpoints[] = {
    {"GET", read_webhooks, Body::none, get_webhook},
    {"PATCH", write_webhooks, Body::required, update_webhook},
    {"DELETE", write_webhooks, Body::none, delete_webhook},
};
constexpr Endpoint rotate_secret_endpoints[] = {
    {"POST", write_webhooks, Body::none, rotate_webhook_secret}};
constexpr Endpoint deliveries_endpoints[] = {{"GET", read_webhooks, Body::none, list_deliveries}};
constexpr Endpoint replay_endpoints[] = {{"POST", write_webhooks, Body::none, replay_delivery}};
constexpr Endpoint keys_endpoints[] = {
    {"GET", Admin{}, Body::none, list_keys},
    {"POST", Admin{}, Body::required, create_key},
};
constexpr Endpoint key_endpoints[] = {{"DELETE", Admin{}, Body::none, revoke_key}};
constexpr Endpoint backups_endpoints[] = {
    {"GET", Admin{}, Body::none, backup_status},
    {"POST", Admin{}, Body::required, start_backup},
};
constexpr Endpoint rebuild_endpoints[] = {
    {"GET", Admin{}, Body::none, rebuild_status},
    {"POST", Admin{}, Body::none, start_rebuild},
};
constexpr Endpoint rotate_key_endpoints[] = {{"POST", Admin{}, Body::optional, rotate_key}};
constexpr Endpoint schema_endpoints[] = {{"GET", Anybody{}, Body::none, get_schema}};
constexpr Endpoint schemas_endpoints[] = {{"GET", Anybody{}, Body::none, list_schemas}};
constexpr Endpoint openapi_endpoints[] = {{"GET", Anybody{}, Body::none, openapi}};
constexpr Endpoint healthz_endpoints[] = {{"GET", Anybody{}, Body::none, healthz}};
constexpr Endpoint readyz_endpoints[] = {{"GET", Anybody{}, Body::none, readyz}};
constexpr Endpoint metrics_endpoints[] = {{"GET", Anybody{}, Body::none, metrics}};

constexpr std::array routes = {
    Route{"contact", {"api", "v1", "contacts", "{id}"}, contact_endpoints},
    Route{"history", {"api", "v1", "contacts", "{id}", "history"}, history_endpoints},
    Route{"revert", {"api", "v1", "contacts", "{id}", "revert"}, revert_endpoints},
    Route{"contacts", {"api", "v1", "contacts"}, contacts_endpoints},
    Route{"events", {"api", "v1", "events"}, events_endpoints},
    Route{"webhooks", {"api", "v1", "webhooks"}, webhooks_endpoints},
    Route{"webhook", {"api", "v1", "webhooks", "{id}"}, webhook_endpoints},
    Route{"webhook_secret",
          {"api", "v1", "webhooks", "{id}", "rotate-secret"},
          rotate_secret_endpoints},
    Route{"webhook_deliveries",
          {"api", "v1", "webhooks", "{id}", "deliveries"},
          deliveries_endpoints},
    Route{"webhook_replay",
          {"api", "v1", "webhooks", "{id}", "deliveries", "{delivery}", "replay"},
          replay_endpoints},
    Route{"admin_key", {"admin", "v1", "keys", "{id}"}, key_endpoints},
    Route{"admin_key_rotate", {"admin", "v1", "keys", "{id}", "rotate"}, rotate_key_endpoints},
    Route{"admin_keys", {"admin", "v1", "keys"}, keys_endpoints},
    Route{"backups", {"admin", "v1", "backups"}, backups_endpoints},
    Route{"rebuild", {"admin", "v1", "rebuild"}, rebuild_endpoints},
    Route{"schema", {"schemas", "{id}"}, schema_endpoints},
    Route{"schemas", {"schemas"}, schemas_endpoints},
    Route{"openapi", {"openapi.json"}, openapi_endpoints},
    Route{"healthz", {"healthz"}, healthz_endpoints},
    Route{"readyz", {"readyz"}, readyz_endpoints},
    Route{"metrics", {"metrics"}, metrics_endpoints},
};

// `ids` are what stands for the segments that take any.
bool matches(const Route& route, const Target& target, std::array<std::string, 2>& ids) {
  const auto& segments = target.segments;
  if (segments.size() > route.path.size()) return false;
  std::size_t taken = 0;
  for (std::size_t i = 0; i < route.path.size(); ++i) {
    const std::string_view segment = i < segments.size() ? segments[i] : std::string_view{};
    if (route.path[i].starts_with('{')) {
      if (segment.empty()) return false;
      ids[taken++] = segment;
    } else if (segment != route.path[i] || (segment.empty() && i < segments.size())) {
      return false;
    }
  }
  return true;
}

const Route* find_route(const Target& target, std::array<std::string, 2>& ids) {
  for (const Route& candidate : routes) {
    if (matches(candidate, target, ids)) return &candidate;
  }
  return nullptr;
}

std::string allowed_methods(const Route& route) {
  std::string methods;
  for (const Endpoint& endpoint : route.endpoints) {
    if (!methods.empty()) methods += ", ";
    methods += endpoint.method;
    if (endpoint.method == "GET") methods += ", HEAD";
  }
  return methods + ", OPTIONS";
}

bool takes_patch(const Route& route) {
  return std::any_of(route.endpoints.begin(), route.endpoints.end(),
                     [](const Endpoint& endpoint) { return endpoint.method == "PATCH"; });
}

Response options_response(const Route& route) {
  Response response;
  response.status = 204;
  response.content_type = {};
  response.with("Allow", allowed_methods(route));
  if (takes_patch(route)) response.with("Accept-Patch", std::string{accepted_patches});
  return response;
}

// `application/json`, `application/merge-patch+json`, or no type at all; in UTF-8 if it says so.
bool is_json(std::string_view content_type) {
  const std::string_view type = take_until(content_type, ';');
  if (!equal_ignoring_case(type, "application/json") &&
      !equal_ignoring_case(type, "application/merge-patch+json")) {
    return false;
  }
  while (!content_type.empty()) {
    std::string_view parameter = take_until(content_type, ';');
    const std::string_view name = take_until(parameter, '=');
    if (equal_ignoring_case(name, "charset") && !equal_ignoring_case(parameter, "utf-8") &&
        !equal_ignoring_case(parameter, "\"utf-8\"")) {
      return false;
    }
  }
  return true;
}

Response not_yet(const Call& call, const Endpoint& endpoint, std::string_view why) {
  const bool stream = endpoint.handle == get_events && wants_stream(call.request);
  return not_yet_response(stream, call.format, why);
}

// While another instance writes an organization's partition, or may have written it since it was
// last ours, only that one knows that what it reads is what a client was last told. While the log
// is away, nobody can have been told anything newer, and reads go on where it was ours.
std::optional<Response> refuse_elsewhere(const Call& call, const Endpoint& endpoint) {
  if (call.services.read_only) return std::nullopt;
  const infra::Writer& writer = call.services.partitions.writer_of(call.key->organization);
  // In this order: a silence that has just ended has left a doubt, and a doubt that is settled an
  // ownership.
  const bool silent = call.services.partitions.silent();
  const bool stale = silent || writer.may_be_stale();
  const auto ownership = writer.ownership();
  if (!stale && ownership != infra::Ownership::elsewhere) return std::nullopt;
  return not_yet(call, endpoint,
                 ownership == infra::Ownership::elsewhere
                     ? "Another instance serves this organization; ask it, or try again"
                     : "Another instance may have changed this organization's contacts "
                       "meanwhile; try again");
}

Response not_folded(const Call& call, const Endpoint& endpoint) {
  return not_yet(
      call, endpoint,
      "The log isn't folded yet; /readyz tells how far, or what is in the way. Try again");
}

std::optional<Response> refuse_access(Call& call, const Endpoint& endpoint) {
  const Access& access = endpoint.access;
  if (std::holds_alternative<Anybody>(access)) return std::nullopt;
  if (!call.services.partitions.is_open()) {
    return not_yet(call, endpoint, "The log can't be reached yet; /readyz says why. Try again");
  }
  const Partitions& partitions = call.services.partitions;
  const auto presented = call.request.field("X-API-KEY");
  if (!presented || presented->empty()) return missing_key(call.format);
  Authenticator& authenticator = call.services.authenticator;
  const auto* needed = std::get_if<NeededScope>(&access);
  if (needed == nullptr) {
    if (!authenticator.is_admin(*presented)) return invalid_key(call.format);
    return partitions.caught_up() ? std::nullopt : std::optional{not_folded(call, endpoint)};
  }
  call.key = authenticator.api_key(*presented);
  // What isn't folded may have the key, or say more of it.
  const bool known =
      call.key ? partitions.caught_up(call.key->organization) : partitions.caught_up();
  if (!known) return not_folded(call, endpoint);
  if (!call.key) return invalid_key(call.format);
  if (call.key->scopes.*needed->resource < needed->level) {
    return insufficient_scope(call.format, needed->name);
  }
  return refuse_elsewhere(call, endpoint);
}

std::optional<Response> refuse_change(const Call& call, const Endpoint& endpoint) {
  if (!call.services.read_only || endpoint.method == "GET") return std::nullopt;
  // Without Retry-After: it won't be another day.
  return error_response(call.format, 503,
                        "This server is read-only; nothing was changed. Ask the one that writes");
}

// A body that says what nobody would read. Of GET and DELETE it has no meaning (RFC 9110, section
// 9.3), and some clients send one with anything.
std::optional<Response> refuse_needless_body(const Call& call, const Endpoint& endpoint) {
  const std::string_view body = call.request.body;
  if (endpoint.method != "POST" || body.empty() || body == "{}") return std::nullopt;
  return error_response(call.format, 400,
                        "Invalid request body: this endpoint takes none; send the request without");
}

std::optional<Response> refuse_body(const Call& call, const Endpoint& endpoint) {
  if (endpoint.body == Body::none) return refuse_needless_body(call, endpoint);
  if (endpoint.body == Body::optional && call.request.body.empty()) return std::nullopt;
  if (!call.request.has_body) {
    return error_response(call.format, 411,
                          "Send the body's length in Content-Length, or the body in chunks");
  }
  const auto coding = call.request.field("Content-Encoding");
  if (coding && !equal_ignoring_case(*coding, "identity")) {
    return error_response(call.format, 415,
                          "A body with a Content-Encoding isn't taken; send it as it is")
        .with("Accept-Encoding", "identity")
        .with("Accept-Patch", std::string{accepted_patches});
  }
  const auto content_type = call.request.field("Content-Type");
  if (content_type && !is_json(*content_type)) return unsupported_media_type(call.format);
  return std::nullopt;
}

Handled dispatch(Call& call, const Route& route, std::string_view method) {
  for (const Endpoint& endpoint : route.endpoints) {
    if (endpoint.method != method) continue;
    if (auto refused = refuse_access(call, endpoint)) return *std::move(refused);
    if (auto refused = refuse_change(call, endpoint)) return *std::move(refused);
    if (auto refused = refuse_body(call, endpoint)) return *std::move(refused);
    Handled handled = endpoint.handle(call);
    auto* read = std::get_if<SlowRead>(&handled);
    if (read != nullptr && call.key) read->organization = call.key->organization.str();
    return handled;
  }
  if (method == "OPTIONS") return options_response(route);
  return error_response(call.format, 405,
                        "This resource has no such method; Allow lists those it has")
      .with("Allow", allowed_methods(route));
}

// RateLimit header fields for HTTP, draft-ietf-httpapi-ratelimit-headers-10.
Fields rate_fields(const RateLimiter& limiter, const RateLimiter::Verdict& verdict) {
  return {{"RateLimit", R"("default";r=)" + std::to_string(verdict.remaining) +
                            ";t=" + std::to_string(verdict.reset_seconds)},
          {"RateLimit-Policy", R"("default";q=)" + std::to_string(limiter.requests_max()) +
                                   ";w=" + std::to_string(limiter.window().count())}};
}

Handled limited_dispatch(Call& call, const Route& route, std::string_view method, Fields& told) {
  RateLimiter& limiter = call.services.rate_limiter;
  const bool counted = limiter.enabled() && route.path[0] == "api";
  if (!counted) return dispatch(call, route, method);
  const auto verdict = limiter.count(call.request.client_network, std::chrono::steady_clock::now());
  if (!verdict) return dispatch(call, route, method);  // who isn't counted has no limit to be told
  told = rate_fields(limiter, *verdict);
  if (verdict->allowed) return dispatch(call, route, method);
  return error_response(call.format, 429, "Rate limit exceeded. Try again shortly.")
      .with("Retry-After", std::to_string(verdict->reset_seconds));
}

// A name is repeated to who asks, in JSON; a value may be looked for among strings.
std::optional<std::string> not_utf8(const Target& target) {
  for (const auto& [name, value] : target.params) {
    if (!domain::is_utf8(name)) return "The name of a query parameter isn't UTF-8";
    if (!domain::is_utf8(value)) return "Invalid query parameter '" + name + "': it isn't UTF-8";
  }
  return std::nullopt;
}

// Notes in `routed` what is known of the route before anything can be thrown.
Handled handle(const Services& services, const Request& request, Routed& routed) {
  const ErrorFormat format = error_format(request);
  const auto target = parse_target(request.target);
  if (!target) return error_response(format, 400, "The request target is no valid path and query");
  if (const auto sentence = not_utf8(*target)) return error_response(format, 400, *sentence);
  std::array<std::string, 2> ids;
  const Route* found = find_route(*target, ids);
  if (found == nullptr) {
    return error_response(format, 404, "No such resource; /openapi.json lists what there is");
  }
  routed.route = found->name;
  Call call{services, request, *target, format, {}, std::move(ids[0]), std::move(ids[1])};
  const bool head = request.method == "HEAD";
  return limited_dispatch(call, *found, head ? "GET" : request.method, routed.told);
}

template <class Result>
Result guarded(const std::function<Result()>& run, ErrorFormat format,
               std::string_view request_id) {
  try {
    return run();
  } catch (const infra::Unavailable& problem) {
    spdlog::error("request {}: {}", request_id, problem.what());
    return overloaded(format, "The database can't be read at present; try again");
  } catch (const std::exception& problem) {
    spdlog::error("request {}: {}", request_id, problem.what());
    return internal_error(format);
  }
}

}  // namespace

Routed route(const Services& services, const Request& request) {
  Routed routed;
  routed.handled = guarded<Handled>([&] { return handle(services, request, routed); },
                                    error_format(request), request.request_id);
  return routed;
}

Response run_guarded(const std::function<Response()>& run, ErrorFormat format,
                     std::string_view request_id) {
  return guarded<Response>(run, format, request_id);
}

}  // namespace contactd::api
