#include <boost/json/parse.hpp>

#include "domain/contact/decide.hpp"
#include "domain/contact/patch_reader.hpp"
#include "domain/event_codec.hpp"
#include "domain/strict_json.hpp"
#include "projections/contact_view.hpp"
#include "tests/fuzz/targets.hpp"

namespace contactd::fuzz {
namespace {

using namespace domain;

const ContactId patched_id = *ContactId::parse("AbCdEfGhIjKlMnOpQrSt");
constexpr Instant patch_time{1'752'575'400'000};

// Decides the patch on a contact, stores the event, reads it back, folds it, renders what came out.
ContactState apply(const ContactPatch& patch, const ContactState& state) {
  const Decision decision = decide(UpdateContact{patched_id, patch, {}}, state, std::nullopt);
  if (std::holds_alternative<NothingToDo>(decision)) return state;
  const auto* event = std::get_if<Event>(&decision);
  require(event != nullptr, "a valid patch of a contact that is there is no refusal");
  const auto read = decode_data(type_of(*event), encode_data(*event));
  const auto* back = std::get_if<Event>(&read);
  require(back != nullptr && *back == *event, "an event reads back as it was decided");
  ContactState after = evolve(state, std::get<ContactUpdated>(*back), patch_time);
  const auto view = projections::render(std::get<Contact>(after), 7);
  require(projections::read_contact(view.row).contact == view.contact,
          "a row reads back as it was rendered");
  require(std::holds_alternative<boost::json::value>(parse_strict_json(view.json(), {})),
          "a contact is rendered as strict JSON");
  return after;
}

}  // namespace

void patch_body(std::string_view input) {
  const auto parsed = parse_strict_json(input, {});
  if (const auto* error = std::get_if<JsonError>(&parsed)) {
    require(!error->message.empty(), "a refusal says why");
    return;
  }
  boost::json::error_code ec;
  boost::json::parse(boost::json::string_view{input.data(), input.size()}, ec);
  require(!ec, "what is taken as strict JSON is JSON");
  const auto read = read_patch(std::get<boost::json::value>(parsed));
  if (const auto* errors = std::get_if<ValidationErrors>(&read)) {
    require(!errors->empty(), "a refusal says what is wrong");
    return;
  }
  const ContactPatch& patch = std::get<ContactPatch>(read);
  const ContactState created = evolve(ContactState{}, ContactCreated{patched_id, {}}, patch_time);
  const ContactState once = apply(patch, created);
  require(apply(patch, once) == once, "a patch applied again changes nothing");
}

std::vector<std::string> patch_body_seeds() {
  std::vector<std::string> all = files_of_suite("json");
  all.insert(all.end(),
             {R"({"first_name": "Jane", "tags": ["vip", "a"], "company": null})",
              R"({"email": "Jane@Example.com", "status": "inactive", "website": "\ud83d\ude00"})",
              R"({"birthday": "1990-01-01", "first\u005fname": "x", "tags": []})", "{}"});
  return all;
}

}  // namespace contactd::fuzz
