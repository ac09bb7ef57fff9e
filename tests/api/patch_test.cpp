#include <boost/json.hpp>

#include "tests/api/contract_fields.hpp"
#include "tests/support/api_fixture.hpp"

// PATCH /contacts/{contactId}, and what the contract says of writing.
namespace contactd::test {
namespace {

namespace json = boost::json;

class Patch : public ApiTest {};

std::string one_member(std::string_view name, const json::value& value) {
  return json::serialize(json::object{{name, value}});
}
std::string one_text(std::string_view name, std::string_view value) {
  return one_member(name, text(value));
}

TEST_F(Patch, ChangesTheFieldsThatItNamesAndLeavesTheRest) {
  const Contact jane = user.given_contact(R"({"first_name": "Jane", "company": "Acme Inc"})");

  user.patch(jane.id, R"({"first_name": "Janet", "job_title": "CTO"})")
      .then(200)
      .with_field("id", jane.id)
      .with_field("first_name", "Janet")
      .with_field("job_title", "CTO")
      .with_field("company", "Acme Inc")
      .with_field("last_name", nullptr)
      .with_field("created_at", jane.data.at("created_at"));
}

TEST_F(Patch, SetsEveryFieldOfTheContract) {
  const Contact contact = user.given_contact();

  for (const ContractField& field : contract_fields) {
    json::value value = json::string{"a value"};
    if (field.takes == Takes::email) value = "jane@example.com";
    if (field.takes == Takes::status) value = "inactive";
    if (field.takes == Takes::tags) value = json::array{"vip", "speaker"};
    user.patch(contact.id, one_member(field.name, value)).then(200).with_field(field.name, value);
    user.read(contact.id).then(200).with_field(field.name, value);
  }
}

TEST_F(Patch, NullClearsWhatMayBeNull) {
  for (const ContractField& field : contract_fields) {
    if (field.takes != Takes::text_or_null) continue;
    const Contact contact = user.given_contact(one_member(field.name, "a value"));

    user.patch(contact.id, one_member(field.name, nullptr))
        .then(200)
        .with_field(field.name, nullptr);
    user.read(contact.id).then(200).with_field(field.name, nullptr);
  }
}

TEST_F(Patch, AnEmptyStringIsAValueAndNotNull) {
  const Contact contact = user.given_contact(R"({"company": "Acme Inc"})");

  user.patch(contact.id, R"({"company": "", "first_name": ""})")
      .then(200)
      .with_field("company", "")
      .with_field("first_name", "");
}

TEST_F(Patch, TagsReplaceTheWholeArray) {
  const Contact contact = user.given_contact(R"({"tags": ["vip", "speaker"]})");

  user.patch(contact.id, R"({"tags": ["speaker", "new", "speaker"]})")
      .then(200)
      .with_field("tags", {"speaker", "new", "speaker"});
}

TEST_F(Patch, AnEmptyArrayEmptiesTheTags) {
  const Contact contact = user.given_contact(R"({"tags": ["vip"]})");

  user.patch(contact.id, R"({"tags": []})").then(200).with_field("tags", json::array{});
}

TEST_F(Patch, NormalizesTheEmailToLowercase) {
  const Contact contact = user.given_contact();

  user.patch(contact.id, R"({"email": "Jane.DOE+x@Example.COM"})")
      .then(200)
      .with_field("email", "jane.doe+x@example.com");
}

TEST_F(Patch, AnEmailOfAnotherContactIs409WithItsHolder) {
  const Contact ann = user.given_contact(R"({"email": "jane@example.com"})");
  const Contact bob = user.given_contact(R"({"email": "bob@example.com"})");

  user.patch(bob.id, R"({"email": "JANE@example.com", "company": "Acme Inc"})")
      .then(409)
      .with_member("contact_id", ann.id)
      .with_header("Content-Type", "application/json");
  user.read(bob.id).with_field("email", "bob@example.com").with_field("company", nullptr);
}

TEST_F(Patch, AnEmailIsUniqueOnlyWithinItsOrganization) {
  ApiUser other = given_user(shared_server());
  user.given_contact(R"({"email": "jane@example.com"})");
  const Contact elsewhere = other.given_contact();

  other.patch(elsewhere.id, R"({"email": "jane@example.com"})").then(200);
}

TEST_F(Patch, AnEmailThatWasGivenUpIsFree) {
  const Contact ann = user.given_contact(R"({"email": "jane@example.com"})");
  const Contact bob = user.given_contact();
  user.given_patched(ann.id, R"({"email": "ann@example.com"})");

  user.patch(bob.id, R"({"email": "jane@example.com"})").then(200);
  user.patch(ann.id, R"({"email": "jane@example.com"})")
      .then(409)
      .with_member("contact_id", bob.id);
}

TEST_F(Patch, TheContactsOwnEmailAgainIsNoConflictAndNoChange) {
  const Contact ann = user.given_contact(R"({"email": "jane@example.com"})");

  user.patch(ann.id, R"({"email": "Jane@Example.com"})")
      .then(200)
      .with_header("ETag", ann.etag)
      .with_field("updated_at", ann.data.at("updated_at"));
}

TEST_F(Patch, AnEmptyObjectChangesNothing) {
  const Contact ann = user.given_contact(R"({"first_name": "Ann"})");

  user.patch(ann.id, "{}")
      .then(200)
      .with_header("ETag", ann.etag)
      .with_field("first_name", "Ann")
      .with_field("updated_at", ann.data.at("updated_at"));
}

TEST_F(Patch, APatchThatChangesNoValueWritesNothing) {
  const Contact ann = user.given_contact(
      R"({"first_name": "Ann", "email": "ann@example.com", "tags": ["a", "b"], "company": "X"})");

  user.patch(ann.id, R"({"tags": ["a", "b"], "first_name": "Ann", "email": "ANN@example.com",
                         "company": "X", "website": null, "status": "active"})")
      .then(200)
      .with_header("ETag", ann.etag)
      .with_field("updated_at", ann.data.at("updated_at"));
}

TEST_F(Patch, APatchOfManyFieldsIsOneEvent) {
  const Contact ann = user.given_contact();
  ASSERT_EQ(ann.etag, "\"1\"");

  user.patch(ann.id, R"({"first_name": "Ann", "tags": ["a"], "email": "ann@example.com"})")
      .then(200)
      .with_header("ETag", "\"2\"");
}

TEST_F(Patch, IsAllOrNothing) {
  const Contact ann = user.given_contact(R"({"first_name": "Ann"})");

  user.patch(ann.id, R"({"first_name": "Anna", "company": "Acme Inc", "status": "gone"})")
      .then(400);
  user.read(ann.id).with_header("ETag", ann.etag).with_field("first_name", "Ann");
}

TEST_F(Patch, UpdatedAtNeverGoesBackwards) {
  const Contact ann = user.given_contact();
  std::string last = json::serialize(ann.data.at("updated_at"));

  for (int i = 0; i < 50; ++i) {
    const Answer patched = user.patch(ann.id, one_text("company", std::to_string(i))).then(200);
    EXPECT_GE(patched.field("updated_at"), last);
    last = patched.field("updated_at");
  }
}

TEST_F(Patch, WhatItAnsweredIsReadAtOnceInEveryPlace) {
  const Contact ann = user.given_contact(R"({"email": "ann@example.com"})");

  for (int i = 0; i < 20; ++i) {
    const std::string email = "ann" + std::to_string(i) + "@example.com";
    const Answer patched = user.patch(ann.id, one_text("email", email)).then(200);
    const json::array listed = {patched.data()};
    EXPECT_EQ(user.read(ann.id).body(), patched.body());
    EXPECT_EQ(user.list("email=" + email).json().at("data"), listed);
    EXPECT_EQ(user.list().json().at("data"), listed);
  }
}

TEST_F(Patch, AnotherClientWithTheSameOrganizationReadsItToo) {
  ApiUser colleague = given_user(shared_server(), "read", user.organization());
  const Contact ann = user.given_contact();
  const Answer patched = user.patch(ann.id, R"({"company": "Acme Inc"})").then(200);

  EXPECT_EQ(colleague.read(ann.id).then(200).body(), patched.body());
}

TEST_F(Patch, OtherStringsAreAnyUnicodeTextAndReadBackToTheByte) {
  const Contact ann = user.given_contact();

  for (const std::string& name : std::vector<std::string>{
           "Zoë", "e\u0301 is not é", "李小龍", "עברית \u202E", "👩‍👩‍👧‍👦",
           "\uFFFF\U0010FFFF", "\uFEFFbom", "\x01\x1f\x7f", "\"\\/\b\f\n\r\t", "  spaces  ",
           "<script>'\"--;", "%00 &amp; \\u0000"}) {
    const std::string body = one_text("first_name", name);
    user.patch(ann.id, body).then(200).with_field("first_name", name);
    user.read(ann.id).then(200).with_field("first_name", name);
  }
}

TEST_F(Patch, EscapedAndPlainTextAreTheSameValue) {
  const Contact ann = user.given_contact(R"({"first_name": "é👍/"})");

  user.patch(ann.id, R"({"first_name": "\u00e9\uD83D\udc4d\/"})")
      .then(200)
      .with_header("ETag", ann.etag);
}

TEST_F(Patch, BirthdayAndHandlesAreFreeStrings) {
  const Contact ann = user.given_contact();

  user.patch(ann.id, R"({"birthday": "the 1st of May", "linkedin": "not a URL", "website": "x",
                         "twitter": "@ann", "gender": "any", "phone_number": "call me"})")
      .then(200)
      .with_field("birthday", "the 1st of May")
      .with_field("linkedin", "not a URL");
}

TEST_F(Patch, TakesAMergePatchAsWell) {
  const Contact ann = user.given_contact(R"({"company": "Acme Inc", "location": "Here"})");

  user.patch(ann.id, R"({"company": null, "university": "MIT"})",
             {{"Content-Type", "application/merge-patch+json"}})
      .then(200)
      .with_field("company", nullptr)
      .with_field("university", "MIT")
      .with_field("location", "Here");
}

TEST_F(Patch, OfAnUnknownContactIs404) {
  user.patch("AbCdEfGhIjKlMnOpQrSt", R"({"first_name": "Ann"})")
      .then(404)
      .with_error("Contact not found");
}

TEST_F(Patch, OfADeletedContactIs404) {
  const Contact ann = user.given_contact();
  user.remove(ann.id).then(200);

  user.patch(ann.id, R"({"first_name": "Ann"})").then(404).with_error("Contact not found");
}

TEST_F(Patch, OfWhatIsNoIdIs404) {
  for (const std::string id : {"x", "AbCdEfGhIjKlMnOpQrS", "AbCdEfGhIjKlMnOpQrStu",
                               "AbCdEfGhIjKlMnOpQr-t", "%41bCdEfGhIjKlMnOpQrSt"}) {
    user.patch(id, R"({"first_name": "Ann"})").then(404).with_error("Contact not found");
  }
}

}  // namespace
}  // namespace contactd::test
