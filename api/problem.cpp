#include "api/problem.hpp"

#include "api/accept.hpp"
#include "api/limits.hpp"
#include "api/preconditions.hpp"
#include "domain/json_text.hpp"
#include "domain/organization/webhook.hpp"

namespace contactd::api {
namespace {

using domain::append_json_string;
using domain::json_string;

constexpr std::string_view problem_type = "application/problem+json";

Response retry_later(Response response) {
  return std::move(response).with("Retry-After", std::to_string(limits::retry_after_seconds));
}

Response unauthorized(ErrorFormat format, std::string_view error) {
  return error_response(format, 401, error)
      .with("WWW-Authenticate", R"(ApiKey realm="contactd", header="X-API-KEY")");
}

std::string details(const domain::ValidationErrors& errors) {
  std::string json = R"("details":{"formErrors":[)";
  for (std::size_t i = 0; i < errors.form.size(); ++i) {
    if (i > 0) json += ',';
    append_json_string(json, errors.form[i]);
  }
  json += R"(],"fieldErrors":{)";
  for (std::size_t i = 0; i < errors.field.size(); ++i) {
    if (i > 0) json += ',';
    append_json_string(json, errors.field[i].first);
    json += ":[";
    append_json_string(json, errors.field[i].second);
    json += ']';
  }
  return json += "}}";
}

// "first_name: Expected string, received null; ..." of the first few violations.
std::string summary(const domain::ValidationErrors& errors) {
  constexpr std::size_t named_max = 3;
  std::string text = "Invalid request body";
  std::size_t named = 0;
  for (const std::string& sentence : errors.form) {
    if (named++ < named_max) text += (named == 1 ? ": " : "; ") + sentence;
  }
  for (const auto& [name, sentence] : errors.field) {
    if (sentence == domain::unknown_member) continue;  // the form errors name it
    if (named++ < named_max) text += (named == 1 ? ": " : "; ") + name + ": " + sentence;
  }
  return text;
}

struct RejectionToResponse {
  ErrorFormat format;

  Response operator()(const domain::ContactNotFound&) const {
    return error_response(format, 404, "Contact not found");
  }
  Response operator()(const domain::EmailTaken& taken) const {
    return error_response(format, 409,
                          "Another contact of this organization already has this email",
                          R"("contact_id":")" + taken.holder.str() + '"');
  }
  Response operator()(const domain::VersionMismatch& mismatch) const {
    std::string members =
        R"("version":)" + std::to_string(mismatch.current) + R"(,"changed_fields":[)";
    std::string names;
    for (const domain::Field field : mismatch.changed) {
      if (!names.empty()) names += ',';
      names += json_string(domain::name_of(field));
    }
    members += names + ']';
    return error_response(format, 412,
                          "The contact is at version " + std::to_string(mismatch.current) +
                              ", which If-Match doesn't name (a weak tag, W/..., names none); read "
                              "it again and go on from what you read",
                          members)
        .with("ETag", etag_of(mismatch.current));
  }
  Response operator()(const domain::VersionNotFound& missing) const {
    return error_response(format, 404,
                          "This contact has no version " + std::to_string(missing.asked) +
                              "; its history lists those that it has");
  }
  Response operator()(const domain::ApiKeyNotFound&) const {
    return error_response(format, 404, "API key not found");
  }
  Response operator()(const domain::WebhookNotFound&) const {
    return error_response(format, 404, "Webhook not found");
  }
  Response operator()(const domain::TooManyWebhooks&) const {
    return error_response(format, 409,
                          "This organization has " + std::to_string(domain::webhooks_max) +
                              " webhooks, as many as it may have; delete one first");
  }
};

}  // namespace

ErrorFormat error_format(const Request& request) {
  return error_format(request.joined_field("Accept"));
}

ErrorFormat error_format(const std::optional<std::string>& accept) {
  return accept && named_weight(*accept, problem_type) > 0 ? ErrorFormat::problem
                                                           : ErrorFormat::plain;
}

Response error_response(ErrorFormat format, int status, std::string_view error,
                        std::string_view members) {
  Response response;
  response.status = status;
  std::string& body = response.body;
  body = "{";
  if (format == ErrorFormat::problem) {
    response.content_type = problem_type;
    body += R"("type":"about:blank","title":)" + json_string(reason_of(status)) + R"(,"status":)" +
            std::to_string(status) + R"(,"detail":)" + json_string(error) + ',';
  }
  body += R"("error":)";
  append_json_string(body, error);
  if (!members.empty()) {
    body += ',';
    body += members;
  }
  body += '}';
  return response;
}

Response protocol_error(ErrorFormat format, const ProtocolRefusal& refusal) {
  Response response = error_response(format, refusal.status, refusal.sentence);
  response.close = true;
  return refusal.status == 503 ? retry_later(std::move(response)) : response;
}

ProtocolRefusal body_too_large() {
  return {413, "The body is too large; send at most " + std::to_string(limits::body_bytes_max) +
                   " bytes"};
}

Response rejection_response(ErrorFormat format, const domain::Rejection& rejection) {
  return std::visit(RejectionToResponse{format}, rejection);
}

Response refusal_response(ErrorFormat format, infra::Refusal refusal) {
  switch (refusal) {
    case infra::Refusal::queue_full:
      return overloaded(format, "Too many changes are waiting; nothing was changed, try again");
    case infra::Refusal::in_progress:
      return error_response(format, 409, "idempotent_request_in_progress",
                            R"("message":"A request with this Idempotency-Key is being )"
                            R"(processed; wait for its answer, then repeat")");
    case infra::Refusal::unavailable:
      return not_taken(format);
  }
  std::abort();
}

Response validation_error(ErrorFormat format, const domain::ValidationErrors& errors) {
  return error_response(format, 400, summary(errors), details(errors));
}

Response invalid_query(ErrorFormat format, std::string_view sentence,
                       const domain::ValidationErrors& errors) {
  return error_response(format, 400, sentence, errors.empty() ? std::string{} : details(errors));
}

Response bad_json(ErrorFormat format, int status, std::string_view message,
                  const std::optional<std::string>& duplicate_key) {
  domain::ValidationErrors errors;
  errors.form.emplace_back(message);
  if (duplicate_key) errors.add(*duplicate_key, "Duplicate key");
  return error_response(format, status, message, details(errors));
}

Response missing_key(ErrorFormat format) {
  return unauthorized(format, "Missing X-API-KEY header");
}

Response invalid_key(ErrorFormat format) {
  return unauthorized(format, "Invalid or revoked API key");
}

Response insufficient_scope(ErrorFormat format, std::string_view scope) {
  return error_response(format, 403, "insufficient_scope",
                        R"("message":"This API key lacks the scope )" + std::string{scope} +
                            R"(; use one that has it")");
}

Response unsupported_media_type(ErrorFormat format) {
  return error_response(format, 415,
                        "Send the body as application/json or application/merge-patch+json, "
                        "in UTF-8")
      .with("Accept-Patch", std::string{accepted_patches});
}

Response unknown_outcome(ErrorFormat format, std::string_view how_to_find_out) {
  return retry_later(
      error_response(format, 503,
                     "The log didn't answer in time, and the change may still be applied. " +
                         std::string{how_to_find_out}));
}

Response not_taken(ErrorFormat format) {
  return retry_later(error_response(
      format, 503, "Changes can't be taken at present; nothing was changed, try again"));
}

Response overloaded(ErrorFormat format, std::string_view error) {
  return retry_later(error_response(format, 503, error));
}

Response idempotency_key_reused(ErrorFormat format) {
  return error_response(format, 422,
                        "This Idempotency-Key was used with another request; use a new one for "
                        "each change");
}

Response internal_error(ErrorFormat format) {
  return error_response(format, 500,
                        "Something went wrong here; the log of contactd says what, under this "
                        "request's id");
}

}  // namespace contactd::api
