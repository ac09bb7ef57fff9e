#include "api/handlers/handlers.hpp"
#include "api/preconditions.hpp"
#include "projections/contact_view.hpp"

namespace contactd::api {

Handled get_contact(const Call& call) {
  if (auto refused = refuse_params(call)) return *std::move(refused);
  const auto id = domain::ContactId::parse(call.id);
  const auto row = id ? call.services.store.contact_row(call.key->organization, *id) : std::nullopt;
  if (!row) return rejection_response(call.format, domain::ContactNotFound{});
  const auto document = projections::read_document(*row);
  Response response;
  response.with("ETag", etag_of(document.version));
  const auto none_match = call.request.joined_field("If-None-Match");
  if (none_match && none_match_hits(*none_match, document.version)) {
    response.status = 304;
    return response;
  }
  response.body.reserve(document.json.size() + 16);
  response.body = R"({"data":)";
  response.body += document.json;
  response.body += '}';
  return response;
}

std::optional<Response> refuse_params(const Call& call) {
  if (call.target.params.empty()) return std::nullopt;
  return error_response(call.format, 400,
                        "Unknown query parameter '" + call.target.params.front().first +
                            "'; this endpoint takes none");
}

}  // namespace contactd::api
