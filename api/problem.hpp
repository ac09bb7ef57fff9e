#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/http_message.hpp"
#include "api/protocol_refusal.hpp"
#include "domain/rejection.hpp"
#include "domain/validation.hpp"

// Every error that a client can get: the one place that says its status and its body.
namespace contactd::api {

// How a client wants to be told of errors: application/problem+json (RFC 9457) goes only to one
// that asks for it by name in Accept.
enum class ErrorFormat { plain, problem };
ErrorFormat error_format(const Request& request);
// By what stands in Accept; nothing: it isn't there.
ErrorFormat error_format(const std::optional<std::string>& accept);

// `{"error": ...}` or, as a problem, with type, title, status and detail before it. `members` is
// JSON to be added to the object, such as `"contact_id":"..."`, or nothing.
Response error_response(ErrorFormat format, int status, std::string_view error,
                        std::string_view members = {});

// Refusals of the HTTP layer, before a request could be read: always closing.
ProtocolRefusal body_too_large();
Response protocol_error(ErrorFormat format, const ProtocolRefusal& refusal);

// The one switch from a domain's rejection to a status.
Response rejection_response(ErrorFormat format, const domain::Rejection& rejection);
Response refusal_response(ErrorFormat format, infra::Refusal refusal);

Response validation_error(ErrorFormat format, const domain::ValidationErrors& errors);
// With details by parameter, where the sentence alone doesn't say it.
Response invalid_query(ErrorFormat format, std::string_view sentence,
                       const domain::ValidationErrors& errors);
Response bad_json(ErrorFormat format, int status, std::string_view message,
                  const std::optional<std::string>& duplicate_key);
Response missing_key(ErrorFormat format);
Response invalid_key(ErrorFormat format);
Response insufficient_scope(ErrorFormat format, std::string_view scope);
Response unsupported_media_type(ErrorFormat format);
// Of a change of which it isn't known whether it is in the log; a sentence says how a client
// learns.
Response unknown_outcome(ErrorFormat format, std::string_view how_to_find_out);
Response not_taken(ErrorFormat format);
Response overloaded(ErrorFormat format, std::string_view error);
Response idempotency_key_reused(ErrorFormat format);
Response internal_error(ErrorFormat format);

// What PATCH takes; the value of Accept-Patch.
inline constexpr std::string_view accepted_patches =
    "application/json, application/merge-patch+json";

}  // namespace contactd::api
