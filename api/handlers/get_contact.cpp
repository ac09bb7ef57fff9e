#include "api/handlers/handlers.hpp"
#include "api/past_query.hpp"
#include "api/preconditions.hpp"
#include "projections/contact_view.hpp"

namespace contactd::api {
namespace {

using NoneMatch = std::optional<std::string>;  // what If-None-Match says

// The headers of a contact in `version`: a 304 where the client has it already, else a 200 whose
// body is to be filled in.
Response contact_head(const NoneMatch& none_match, domain::Version version) {
  Response response;
  response.with("ETag", etag_of(version));
  if (none_match && none_match_hits(*none_match, version)) response.status = 304;
  return response;
}

// A contact's past, or the sentence that says why there is none.
struct PastToResponse {
  ErrorFormat format;
  const NoneMatch& none_match;

  Response operator()(const domain::Contact& contact) const {
    Response response = contact_head(none_match, contact.version);
    if (response.status == 304) return response;
    response.body = R"({"data":)";
    projections::append_contact_json(response.body, contact);
    response.body += '}';
    return response;
  }
  Response operator()(const infra::NeverWas&) const {
    return rejection_response(format, domain::ContactNotFound{});
  }
  Response operator()(const infra::NoSuchVersion& missing) const {
    return error_response(format, 404,
                          "This contact has no such version; the latest that can be read is " +
                              std::to_string(missing.latest));
  }
  Response operator()(const infra::BeforeCreation& missing) const {
    return error_response(format, 404,
                          "This contact wasn't there at that time: it was created at " +
                              domain::to_iso8601(missing.created_at));
  }
  Response operator()(const infra::AfterDeletion& missing) const {
    return error_response(format, 404,
                          "This contact is deleted: that is its version " +
                              std::to_string(missing.version) + ", of " +
                              domain::to_iso8601(missing.deleted_at));
  }
};

}  // namespace

Handled get_contact(const Call& call) {
  const auto moment = read_moment(call.target);
  if (const auto* sentence = std::get_if<std::string>(&moment)) {
    return error_response(call.format, 400, *sentence);
  }
  const auto id = domain::ContactId::parse(call.id);
  if (!id) return rejection_response(call.format, domain::ContactNotFound{});
  const domain::OrganizationId& organization = call.key->organization;
  NoneMatch none_match = call.request.joined_field("If-None-Match");
  if (const auto& past = std::get<0>(moment)) {
    return SlowRead{[&store = call.services.store, format = call.format, organization, id = *id,
                     moment = *past, none_match = std::move(none_match)] {
      return std::visit(PastToResponse{format, none_match},
                        infra::read_past_contact(store, organization, id, moment));
    }};
  }
  const auto row = call.services.store.contact_row(organization, *id);
  if (!row) return rejection_response(call.format, domain::ContactNotFound{});
  const auto document = projections::read_document(*row);
  Response response = contact_head(none_match, document.version);
  if (response.status == 304) return response;
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
