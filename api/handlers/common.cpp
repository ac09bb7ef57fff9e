#include "api/handlers/handlers.hpp"
#include "api/preconditions.hpp"

// What several endpoints do.
namespace contactd::api {

Write write_for(const Call& call, const domain::OrganizationId& organization,
                domain::Command command) {
  Write write;
  write.writer = &call.services.partitions.writer_of(organization);
  write.submission.organization = organization;
  write.submission.command = std::move(command);
  write.submission.actor = call.key ? call.key->id : "admin";
  write.submission.request_id = call.request.request_id;
  write.submission.bytes = call.request.body.size();
  const ErrorFormat format = call.format;
  write.refuse = [format](infra::Refusal refusal) { return refusal_response(format, refusal); };
  return write;
}

Response no_success(ErrorFormat format, const infra::Outcome& outcome,
                    std::string_view how_to_find_out) {
  if (const auto* rejection = std::get_if<domain::Rejection>(&outcome.answer)) {
    return rejection_response(format, *rejection);
  }
  if (std::holds_alternative<infra::NotTaken>(outcome.answer)) return not_taken(format);
  return unknown_outcome(format, how_to_find_out);
}

std::variant<std::optional<domain::Precondition>, Response> read_if_match(const Call& call) {
  const auto value = call.request.joined_field("If-Match");
  if (!value) return std::nullopt;
  auto parsed = parse_if_match(*value);
  if (const auto* sentence = std::get_if<std::string>(&parsed)) {
    return error_response(call.format, 400, *sentence);
  }
  return std::get<domain::Precondition>(std::move(parsed));
}

std::optional<Response> refuse_params(const Call& call) {
  if (call.target.params.empty()) return std::nullopt;
  return error_response(call.format, 400,
                        "Unknown query parameter '" + call.target.params.front().first +
                            "'; this endpoint takes none");
}

std::optional<Response> refuse_idempotency_key(const Call& call, std::string_view what,
                                               std::string_view listing) {
  if (!call.request.field("Idempotency-Key")) return std::nullopt;
  return error_response(call.format, 400,
                        std::string{what} + " take no Idempotency-Key; before you repeat, GET " +
                            std::string{listing} + " tells what there is");
}

std::optional<Response> refuse_preconditions(const Call& call, std::string_view why) {
  for (const std::string_view name : {"If-Match", "If-None-Match"}) {
    if (!call.request.field(name)) continue;
    return error_response(
        call.format, 400,
        std::string{why} + ", hence " + std::string{name} + " isn't taken; leave it out");
  }
  return std::nullopt;
}

}  // namespace contactd::api
