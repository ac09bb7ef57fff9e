#include "api/handlers/handlers.hpp"
#include "api/handlers/json_body.hpp"
#include "api/limits.hpp"
#include "api/preconditions.hpp"
#include "domain/contact/decide.hpp"
#include "domain/contact/patch_reader.hpp"
#include "domain/sha256.hpp"
#include "infra/contact_history.hpp"
#include "infra/random.hpp"

// POST, PATCH, DELETE and revert of a contact: a command for the writer, and the words for its
// outcome.
namespace contactd::api {
namespace {

using domain::ContactId;
using domain::ContactPatch;

// The version that the body of a revert names: `{"version": 3}`.
domain::Version read_revert(const boost::json::object& object, domain::ValidationErrors& errors) {
  const auto* version = object.if_contains("version");
  if (version != nullptr && version->is_int64() && version->get_int64() >= 1) {
    return static_cast<domain::Version>(version->get_int64());
  }
  errors.add("version", "Expected a whole number from 1, a version of the contact");
  return 0;
}

// If-None-Match is a condition on a change too (RFC 9110, section 13.1.2): what isn't evaluated
// must not be passed over.
constexpr std::string_view no_if_none_match =
    "If-None-Match isn't taken with a change; send the version that you have read in If-Match";

OrResponse<domain::Precondition> read_condition(const Call& call) {
  if (call.request.field("If-None-Match")) {
    return error_response(call.format, 400, no_if_none_match);
  }
  auto if_match = read_if_match(call);
  if (auto* refused = std::get_if<Response>(&if_match)) return std::move(*refused);
  return std::get<0>(std::move(if_match)).value_or(domain::AnyVersion{});
}

// The key as the client means it: `"abc"` and `abc` are the same.
std::string_view unquoted(std::string_view value) {
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    return value.substr(1, value.size() - 2);
  }
  return value;
}

OrResponse<std::optional<domain::IdempotencyStamp>> read_idempotency(const Call& call) {
  const auto value = call.request.field("Idempotency-Key");
  if (!value) return std::optional<domain::IdempotencyStamp>{};
  const std::string_view key = unquoted(*value);
  if (key == *value && (key.starts_with('"') || key.ends_with('"'))) {
    return error_response(call.format, 400,
                          "Idempotency-Key has a quote on one side alone; send it bare or quoted");
  }
  if (key.empty() || key.size() > limits::idempotency_key_length_max) {
    return error_response(call.format, 400,
                          "Idempotency-Key must have 1 to " +
                              std::to_string(limits::idempotency_key_length_max) + " characters");
  }
  std::string request{call.request.method};
  request += '\n';
  request += call.request.target;
  request += '\n';
  request += call.request.body;
  std::string scoped = call.key->id;
  scoped += '\n';
  scoped += key;
  return std::optional{domain::IdempotencyStamp{domain::sha256(scoped), domain::sha256(request)}};
}

constexpr std::string_view find_out_if_changed =
    "Read the contact to find out, or repeat the request with the same Idempotency-Key, which "
    "never "
    "applies it twice";
constexpr std::string_view find_out_if_created =
    "Repeat the request with the same Idempotency-Key, which never applies it twice; if it had "
    "none, look for the contact in GET /api/v1/contacts, by its email if it has one";

// What an outcome of any of the four is told as.
struct OutcomeToResponse {
  ErrorFormat format;
  bool creates = false;

  Response operator()(const projections::ContactAnswer& answer) const {
    Response response;
    response.status = answer.created ? 201 : 200;
    response.body.reserve(answer.json.size() + 16);
    response.body = R"({"data":)";
    response.body += answer.json;
    response.body += '}';
    response.with("ETag", etag_of(answer.version));
    if (answer.created) {
      constexpr std::size_t id_at = std::string_view{R"({"id":")"}.size();
      response.with("Location", "/api/v1/contacts/" + answer.json.substr(id_at, ContactId::length));
    }
    return response;
  }
  Response operator()(const projections::DeletedAnswer& answer) const {
    Response response;
    response.body = R"({"deleted":true,"id":")" + answer.contact.str() + R"("})";
    return response;
  }
  Response operator()(const domain::Rejection& rejection) const {
    return rejection_response(format, rejection);
  }
  Response operator()(const infra::IdempotencyKeyReused&) const {
    return idempotency_key_reused(format);
  }
  Response operator()(const infra::NotTaken&) const { return not_taken(format); }
  Response operator()(const infra::OutcomeUnknown&) const {
    return unknown_outcome(format, creates ? find_out_if_created : find_out_if_changed);
  }
  Response operator()(const infra::ApiKeyCreatedAnswer&) const { return internal_error(format); }
  Response operator()(const infra::ApiKeyRevokedAnswer&) const { return internal_error(format); }
  Response operator()(const infra::WebhookAnswer&) const { return internal_error(format); }
  Response operator()(const infra::WebhookDeletedAnswer&) const { return internal_error(format); }
};

Handled submit(const Call& call, domain::Command command) {
  auto idempotency = read_idempotency(call);
  if (auto* refused = std::get_if<Response>(&idempotency)) return std::move(*refused);
  const bool creates = std::holds_alternative<domain::CreateContact>(command);
  Write write = write_for(call, call.key->organization, std::move(command));
  write.submission.idempotency = std::get<0>(idempotency);
  write.render = [format = call.format, creates](const infra::Outcome& outcome) {
    Response response = std::visit(OutcomeToResponse{format, creates}, outcome.answer);
    if (outcome.replayed) response.with("Idempotent-Replay", "true");
    return response;
  };
  return write;
}

}  // namespace

Handled create_contact(const Call& call) {
  if (auto refused = refuse_params(call)) return *std::move(refused);
  if (auto refused = refuse_preconditions(call, "A new contact has no version yet")) {
    return *std::move(refused);
  }
  auto values = read_json(call, call.request.body, domain::read_patch);
  if (auto* refused = std::get_if<Response>(&values)) return std::move(*refused);
  return submit(call, domain::CreateContact{infra::new_contact_id(),
                                            std::get<ContactPatch>(std::move(values))});
}

Handled update_contact(const Call& call) {
  if (auto refused = refuse_params(call)) return *std::move(refused);
  auto patch = read_json(call, call.request.body, domain::read_patch);
  if (auto* refused = std::get_if<Response>(&patch)) return std::move(*refused);
  auto if_match = read_condition(call);
  if (auto* refused = std::get_if<Response>(&if_match)) return std::move(*refused);
  const auto id = ContactId::parse(call.id);
  if (!id) return rejection_response(call.format, domain::ContactNotFound{});
  return submit(call, domain::UpdateContact{*id, std::get<ContactPatch>(std::move(patch)),
                                            std::get<domain::Precondition>(std::move(if_match))});
}

Handled delete_contact(const Call& call) {
  if (auto refused = refuse_params(call)) return *std::move(refused);
  auto if_match = read_condition(call);
  if (auto* refused = std::get_if<Response>(&if_match)) return std::move(*refused);
  const auto id = ContactId::parse(call.id);
  if (!id) return rejection_response(call.format, domain::ContactNotFound{});
  return submit(call,
                domain::DeleteContact{*id, std::get<domain::Precondition>(std::move(if_match))});
}

Handled revert_contact(const Call& call) {
  if (auto refused = refuse_params(call)) return *std::move(refused);
  auto version = read_object(call, call.request.body, {"version"}, read_revert);
  if (auto* refused = std::get_if<Response>(&version)) return std::move(*refused);
  auto if_match = read_condition(call);
  if (auto* refused = std::get_if<Response>(&if_match)) return std::move(*refused);
  const auto id = ContactId::parse(call.id);
  if (!id) return rejection_response(call.format, domain::ContactNotFound{});
  domain::RevertContact command{*id, std::get<domain::Version>(version), std::nullopt,
                                std::get<domain::Precondition>(std::move(if_match))};
  const auto past =
      infra::read_past_contact(call.services.store, call.key->organization, *id, command.version);
  if (const auto* contact = std::get_if<domain::Contact>(&past)) {
    command.past = domain::patch_to(*contact);
  }
  return submit(call, std::move(command));
}

}  // namespace contactd::api
