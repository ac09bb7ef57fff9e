#include "api/handlers/handlers.hpp"
#include "api/past_query.hpp"
#include "api/preconditions.hpp"
#include "domain/contact/decide.hpp"
#include "projections/contact_view.hpp"

namespace contactd::api {
namespace {

// On which the contact is sent.
struct Conditions {
  std::optional<domain::Precondition> match;  // what If-Match says
  std::optional<std::string> none_match;      // what If-None-Match says
};

// The headers of a contact in `version`: a 304 where the client has it already, else a 200 whose
// body is to be filled in.
Response contact_head(const Conditions& conditions, domain::Version version) {
  Response response;
  response.with("ETag", etag_of(version));
  if (conditions.none_match && none_match_hits(*conditions.none_match, version)) {
    response.status = 304;
  }
  return response;
}

// The 412 where If-Match doesn't hold, which goes before If-None-Match (RFC 9110, section 13.2.2).
std::optional<Response> refuse_mismatch(ErrorFormat format, const Conditions& conditions,
                                        const domain::Contact& contact) {
  if (!conditions.match) return std::nullopt;
  const auto refusal = domain::refusal(*conditions.match, contact);
  if (!refusal) return std::nullopt;
  return rejection_response(format, *refusal);
}

// A contact's past, or the sentence that says why there is none.
struct PastToResponse {
  ErrorFormat format;
  const Conditions& conditions;

  Response operator()(const domain::Contact& contact) const {
    if (auto refused = refuse_mismatch(format, conditions, contact)) return *std::move(refused);
    Response response = contact_head(conditions, contact.version);
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
  auto if_match = read_if_match(call);
  if (auto* refused = std::get_if<Response>(&if_match)) return std::move(*refused);
  const auto id = domain::ContactId::parse(call.id);
  if (!id) return rejection_response(call.format, domain::ContactNotFound{});
  const domain::OrganizationId& organization = call.key->organization;
  Conditions conditions{std::get<0>(std::move(if_match)),
                        call.request.joined_field("If-None-Match")};
  if (const auto& past = std::get<0>(moment)) {
    return SlowRead{[&store = call.services.store, format = call.format, organization, id = *id,
                     moment = *past, conditions = std::move(conditions)] {
      return std::visit(PastToResponse{format, conditions},
                        infra::read_past_contact(store, organization, id, moment));
    }};
  }
  const auto row = call.services.store.contact_row(organization, *id);
  if (!row) return rejection_response(call.format, domain::ContactNotFound{});
  if (conditions.match) {
    const auto view = projections::read_contact(*row);
    if (auto refused = refuse_mismatch(call.format, conditions, view.contact)) {
      return *std::move(refused);
    }
  }
  const auto document = projections::read_document(*row);
  Response response = contact_head(conditions, document.version);
  if (response.status == 304) return response;
  response.body.reserve(document.json.size() + 16);
  response.body = R"({"data":)";
  response.body += document.json;
  response.body += '}';
  return response;
}

}  // namespace contactd::api
