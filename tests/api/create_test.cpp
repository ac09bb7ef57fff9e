#include <boost/json.hpp>
#include <regex>
#include <set>

#include "tests/support/api_fixture.hpp"

// POST /contacts.
namespace contactd::test {
namespace {

namespace json = boost::json;

class Create : public ApiTest {};

TEST_F(Create, Answers201WithTheContactAndWhereItIs) {
  const Answer created =
      user.create(R"({"first_name": "Jane", "email": "JANE@example.com", "status": "inactive",
                      "company": null, "tags": ["vip"]})")
          .then(201)
          .with_header("ETag", "\"1\"")
          .with_field("first_name", "Jane")
          .with_field("email", "jane@example.com")
          .with_field("status", "inactive")
          .with_field("company", nullptr)
          .with_field("tags", json::array{"vip"});
  const std::string location = created.response().header("Location").value_or("none");

  EXPECT_EQ(location, contact_path(json::value_to<std::string>(created.data().at("id"))));
  EXPECT_EQ(user.send("GET", location).then(200).body(), created.body());
}

TEST_F(Create, EveryFieldIsOptionalAndTheStatusIsActive) {
  user.create("{}").then(201).with_field("status", "active").with_field("first_name", nullptr);
}

TEST_F(Create, IdsAreTwentyLettersAndDigitsAndAllDifferent) {
  const std::regex shape{"[A-Za-z0-9]{20}"};
  std::set<std::string> ids;
  for (int i = 0; i < 100; ++i) {
    const Contact contact = user.given_contact();
    EXPECT_TRUE(std::regex_match(contact.id, shape)) << contact.id;
    EXPECT_TRUE(ids.insert(contact.id).second) << contact.id;
  }
}

TEST_F(Create, TimesAreUtcWithMillisecondsAndAZ) {
  const std::regex shape{R"re("\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")re"};
  const Answer created = user.create("{}").then(201);

  EXPECT_TRUE(std::regex_match(created.field("created_at"), shape));
  EXPECT_EQ(created.field("updated_at"), created.field("created_at"));
}

TEST_F(Create, WithAnEmailOfAnotherContactIs409WithItsHolder) {
  const Contact ann = user.given_contact(R"({"email": "ann@example.com"})");

  user.create(R"({"email": "ANN@example.com"})").then(409).with_member("contact_id", ann.id);
  user.list().with_member("pagination",
                          {{"total", 1}, {"page", 1}, {"page_size", 50}, {"total_pages", 1}});
}

TEST_F(Create, TheClientCannotChooseIdOrTimes) {
  for (const std::string body :
       {R"({"id": "ChosenByTheClient4me"})", R"({"created_at": "2025-07-15T10:30:00.000Z"})"}) {
    user.create(body).then(400);
  }
  user.list().with_member("data", json::array{});
}

TEST_F(Create, IsReadAtOnce) {
  for (int i = 0; i < 20; ++i) {
    const std::string email = "new" + std::to_string(i) + "@example.com";
    const Contact made = user.given_contact(json::serialize(json::object{{"email", email}}));
    const json::array listed = {made.data};
    EXPECT_EQ(user.list("email=" + email).json().at("data"), listed);
    EXPECT_EQ(user.read(made.id).data(), made.data);
  }
}

TEST_F(Create, TakesJsonOfEitherMediaTypeOrNone) {
  for (const std::string type :
       {"application/json", "application/json; charset=utf-8", "APPLICATION/JSON;charset=UTF-8",
        "application/json; charset=utf-8; profile=x", "application/merge-patch+json"}) {
    user.send("POST", "/api/v1/contacts", {{"Content-Type", type}}, "{}").then(201);
  }
  const std::string head = "POST /api/v1/contacts HTTP/1.1\r\nHost: x\r\nX-API-KEY: " + user.key();
  EXPECT_EQ(send_raw(shared_server().port(), head + "\r\nContent-Length: 2\r\n\r\n{}").status,
            201U);
}

}  // namespace
}  // namespace contactd::test
