#include <boost/json.hpp>

#include "tests/support/api_fixture.hpp"

// POST /contacts/{contactId}/revert.
namespace contactd::test {
namespace {

namespace json = boost::json;

class Revert : public ApiTest {
 protected:
  static std::string path(const std::string& id) { return contact_path(id) + "/revert"; }
  Answer revert(const std::string& id, int version, const Headers& headers = {}) {
    return user.send("POST", path(id), headers, R"({"version": )" + std::to_string(version) + '}');
  }
  static void expect_values(const Answer& answer, const Contact& as) {
    for (const auto& [name, value] : as.data) {
      if (name != "updated_at") answer.with_field(name, value);
    }
  }
};

TEST_F(Revert, GivesTheContactItsValuesOfThenInANewVersion) {
  const Contact first =
      user.given_contact(R"({"first_name": "Ann", "tags": ["vip"], "company": "Acme"})");
  user.given_patched(first.id,
                     R"({"first_name": "Anna", "tags": [], "company": null, "email": "a@b.io",
                         "status": "inactive", "phone_number": "1"})");

  const Answer reverted = revert(first.id, 1).then(200).with_header("ETag", "\"3\"");
  expect_values(reverted, first);
  EXPECT_EQ(user.read(first.id).then(200).body(), reverted.body());
  // The email that it had in between is free again.
  user.given_contact(R"({"email": "a@b.io"})");
  const json::value event =
      user.send("GET", contact_path(first.id) + "/history").json().at("data").at(0);
  EXPECT_EQ(event.at("type"), "contactd.contact.updated.v1");
  EXPECT_EQ(event.at("version"), 3);
  EXPECT_EQ(event.at("time"), reverted.data().at("updated_at"));
  EXPECT_EQ(event.at("changes"), json::parse(R"({
      "first_name": {"old": "Anna", "new": "Ann"},
      "email": {"old": "a@b.io", "new": null},
      "phone_number": {"old": "1", "new": null},
      "status": {"old": "inactive", "new": "active"},
      "company": {"old": null, "new": "Acme"},
      "tags": {"old": [], "new": ["vip"]}})"));
  // And back again.
  revert(first.id, 2).then(409);
}

TEST_F(Revert, ThatChangesNothingWritesNothing) {
  const Contact first = user.given_contact(R"({"company": "Acme"})");
  user.given_patched(first.id, R"({"company": "Acorn"})");
  const Contact third = user.given_patched(first.id, R"({"company": "Acme"})");

  for (const int version : {1, 3}) {
    const Answer same = revert(first.id, version).then(200).with_header("ETag", "\"3\"");
    EXPECT_EQ(same.data(), third.data);
  }
}

TEST_F(Revert, ToAnEmailThatAnotherContactHasByNowIsA409) {
  const Contact ann = user.given_contact(R"({"email": "ann@example.com"})");
  user.given_patched(ann.id, R"({"email": "anna@example.com", "company": "Acme"})");
  const Contact bob = user.given_contact(R"({"email": "ann@example.com"})");

  revert(ann.id, 1).then(409).with_member("contact_id", bob.id);
  user.read(ann.id).with_field("company", "Acme").with_header("ETag", "\"2\"");
  user.remove(bob.id).then(200);
  revert(ann.id, 1).then(200).with_field("email", "ann@example.com");
}

TEST_F(Revert, OfAContactOrToAVersionThatIsNotThereIsA404) {
  ApiUser other = given_user(shared_server());
  const Contact theirs = other.given_contact();
  const Contact ann = user.given_contact();
  const Contact gone = user.given_contact();
  user.remove(gone.id).then(200);

  for (const std::string& id :
       {theirs.id, gone.id, std::string{"AbCdEfGhIjKlMnOpQrSt"}, std::string{"x"}}) {
    revert(id, 1).then(404).with_error("Contact not found");
  }
  for (const int version : {2, 900}) {
    revert(ann.id, version)
        .then(404)
        .with_error("This contact has no version " + std::to_string(version) +
                    "; its history lists those that it has");
  }
  revert(gone.id, 2).then(404).with_error("Contact not found");
}

TEST_F(Revert, ObeysIfMatch) {
  const Contact ann = user.given_contact(R"({"company": "Acme"})");
  const Contact now = user.given_patched(ann.id, R"({"company": "Acorn"})");

  const json::array changed = {"company"};
  revert(ann.id, 1, {{"If-Match", ann.etag}}).then(412).with_member("changed_fields", changed);
  revert(ann.id, 9, {{"If-Match", ann.etag}}).then(412);
  revert(ann.id, 1, {{"If-Match", "x"}}).then(400);
  revert(ann.id, 1, {{"If-Match", now.etag}}).then(200).with_field("company", "Acme");
}

TEST_F(Revert, IsDoneOnceForAnIdempotencyKey) {
  const Contact ann = user.given_contact(R"({"company": "Acme"})");
  user.given_patched(ann.id, R"({"company": "Acorn"})");
  const Headers keyed = {{"Idempotency-Key", "k1"}, {"If-Match", "\"2\""}};
  const Answer first = revert(ann.id, 1, keyed).then(200);
  const Answer missing = revert(ann.id, 4, {{"Idempotency-Key", "k2"}}).then(404);
  user.given_patched(ann.id, R"({"company": "Corner"})");
  revert(ann.id, 2, keyed).then(422);
  // Version 4 is there by now; what was said stays said, also once the contact is gone.
  for (int i = 0; i < 2; ++i) {
    const Answer again = revert(ann.id, 1, keyed).then(200);
    EXPECT_EQ(again.body(), first.body());
    again.with_header("Idempotent-Replay", "true").with_header("ETag", "\"3\"");
    const Answer still = revert(ann.id, 4, {{"Idempotency-Key", "k2"}}).then(404);
    EXPECT_EQ(still.body(), missing.body());
    still.with_header("Idempotent-Replay", "true");
    user.remove(ann.id);
  }
}

TEST_F(Revert, RefusesABodyThatNamesNoVersion) {
  const Contact ann = user.given_contact();
  const std::string sentence = "Expected a whole number from 1, a version of the contact";
  for (const std::string body :
       {"{}", R"({"version": 0})", R"({"version": -1})", R"({"version": "1"})",
        R"({"version": 1.5})", R"({"version": null})", R"({"version": 18446744073709551615})"}) {
    user.send("POST", path(ann.id), {}, body).then(400).with_field_error("version", sentence);
  }
  user.send("POST", path(ann.id), {}, R"({"version": 1, "company": "Acme"})")
      .then(400)
      .with_form_error("Unrecognized key(s) in object: 'company'")
      .with_field_error("company", "Unrecognized key");
  for (const std::string body : {"[]", "1", "", "{", R"({"version": 1, "version": 1})"}) {
    user.send("POST", path(ann.id), {}, body).then(400);
  }
  user.send("POST", path(ann.id) + "?version=1", {}, R"({"version": 1})")
      .then(400)
      .with_error_naming("'version'");
}

TEST_F(Revert, NeedsToWrite) {
  const Contact ann = user.given_contact();
  ApiUser reader = given_user(shared_server(), "read", user.organization());
  reader.send("POST", path(ann.id), {}, R"({"version": 1})")
      .then(403)
      .with_error("insufficient_scope");
  user.send("GET", path(ann.id)).then(405).with_header("Allow", "POST, OPTIONS");
}

}  // namespace
}  // namespace contactd::test
