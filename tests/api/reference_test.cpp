#include <boost/json.hpp>
#include <regex>

#include "tests/api/contract_fields.hpp"
#include "tests/support/api_fixture.hpp"

// The curl line of the public reference, against a contact with the values in its example.
namespace contactd::test {
namespace {

namespace json = boost::json;

class Reference : public ApiTest {};

constexpr std::string_view times_expression = R"re("\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")re";

TEST_F(Reference, ItsExampleAnswersWithTheSameMembersInTheSameOrder) {
  const Contact contact = user.given_contact(R"({
    "first_name": "Jane", "last_name": "Doe", "email": "jane@example.com",
    "phone_number": "+1234567890", "job_title": "CEO", "company": "Acme Inc",
    "location": "New York", "tags": ["vip"]})");

  const Answer patched = user.patch(
      contact.id, R"({"first_name": "Janet", "job_title": "CTO", "tags": ["vip", "speaker"]})");

  const std::string expected =
      R"({"data":{"id":")" + contact.id + R"(","first_name":"Janet",)" +
      R"("last_name":"Doe","email":"jane@example.com","phone_number":"+1234567890",)" +
      R"("status":"active","job_title":"CTO","company":"Acme Inc","university":null,)" +
      R"("gender":null,"birthday":null,"location":"New York","linkedin":null,)" +
      R"("instagram":null,"twitter":null,"github":null,"website":null,)" +
      R"("tags":["vip","speaker"],"created_at":TIME,"updated_at":TIME}})";
  const std::string body =
      std::regex_replace(patched.then(200).body(),
                         std::regex{times_expression.begin(), times_expression.end()}, "TIME");
  EXPECT_EQ(body, expected);
  patched.with_header("Content-Type", "application/json");
}

TEST_F(Reference, EveryAnswerWithAContactHasItsMembersInOneOrder) {
  const Contact ann = user.given_contact();
  const std::vector<json::object> contacts = {ann.data, user.read(ann.id).data(),
                                              user.patch(ann.id, R"({"website": "x"})").data(),
                                              user.list().json().at("data").at(0).as_object()};
  for (const json::object& contact : contacts) {
    std::vector<std::string> names;
    for (const auto& member : contact) names.emplace_back(member.key());
    EXPECT_EQ(names, std::vector<std::string>(contact_members.begin(), contact_members.end()));
  }
}

TEST_F(Reference, TheFieldThatItNamesAsUnknownIsRefused) {
  const Contact ann = user.given_contact();
  user.patch(ann.id, R"({"organizationID": "other"})")
      .then(400)
      .with_form_error("Unrecognized key(s) in object: 'organizationID'")
      .with_field_error("organizationID", "Unrecognized key");
}

}  // namespace
}  // namespace contactd::test
