#include <boost/json.hpp>

#include "tests/support/api_fixture.hpp"

// ETag, If-Match and If-None-Match (RFC 9110, section 13).
namespace contactd::test {
namespace {

namespace json = boost::json;

class ETag : public ApiTest {
 protected:
  const Contact ann = user.given_contact(R"({"first_name": "Ann"})");
};

TEST_F(ETag, IsStrongAndOnEveryAnswerWithAContact) {
  EXPECT_EQ(ann.etag, "\"1\"");
  user.read(ann.id).with_header("ETag", "\"1\"");
  user.send("HEAD", contact_path(ann.id)).with_header("ETag", "\"1\"");
  user.patch(ann.id, R"({"company": "Acme Inc"})").with_header("ETag", "\"2\"");
  user.read(ann.id).with_header("ETag", "\"2\"");
}

TEST_F(ETag, IfMatchOfTheCurrentVersionLetsThrough) {
  user.patch(ann.id, R"({"company": "A"})", {{"If-Match", "\"1\""}}).then(200);
  user.patch(ann.id, R"({"company": "B"})", {{"If-Match", "\"1\", \"2\" , W/\"7\""}}).then(200);
  user.patch(ann.id, R"({"company": "C"})", {{"If-Match", "*"}}).then(200);
  user.patch(ann.id, R"({"company": "D"})", {{"If-Match", "\"9\""}, {"If-Match", "\"4\""}})
      .then(200);
}

TEST_F(ETag, IfMatchOfAnotherVersionIs412WithTheFieldsChangedSince) {
  user.given_patched(ann.id, R"({"company": "Acme Inc", "last_name": "Doe"})");
  user.given_patched(ann.id, R"({"tags": ["vip"]})");

  user.patch(ann.id, R"({"first_name": "Anna"})", {{"If-Match", "\"1\""}})
      .then(412)
      .with_member("version", 3)
      .with_member("changed_fields", {"last_name", "company", "tags"})
      .with_header("ETag", "\"3\"");
  user.patch(ann.id, R"({"first_name": "Anna"})", {{"If-Match", "\"2\""}})
      .then(412)
      .with_member("changed_fields", json::array{"tags"});
  user.read(ann.id).with_header("ETag", "\"3\"").with_field("first_name", "Ann");
}

TEST_F(ETag, IfMatchComparesStronglySoAWeakTagFails) {
  user.patch(ann.id, R"({"company": "A"})", {{"If-Match", "W/\"1\""}}).then(412);
}

TEST_F(ETag, IfMatchOfATagThatWasNeverIssuedFails) {
  for (const std::string tag :
       {"\"abc\"", "\"01\"", "\"\"", "\"0\"", "\"-1\"", "\" 1\"", "\"18446744073709551617\""}) {
    user.patch(ann.id, R"({"company": "A"})", {{"If-Match", tag}}).then(412);
  }
}

TEST_F(ETag, EmptyElementsOfIfMatchArePassedOver) {
  for (const std::string value : {"\"9\",,\"1\"", ",\"2\",", " , \"3\" ,\t,"}) {
    user.patch(ann.id, R"({"company": ")" + std::to_string(value.size()) + R"("})",
               {{"If-Match", value}})
        .then(200);
  }
}

TEST_F(ETag, IfMatchThatIsNoListOfTagsIs400) {
  for (const std::string value :
       {"1", ",", " ,\t,", "\"1", "\"1\" \"2\"", "* , \"1\"", "\"1\";", "w/\"1\""}) {
    user.patch(ann.id, R"({"company": "A"})", {{"If-Match", value}})
        .then(400)
        .with_error_naming("If-Match");
  }
  user.remove(ann.id, {{"If-Match", "1"}}).then(400).with_error_naming("If-Match");
}

TEST_F(ETag, IfMatchThatFailsRefusesAlsoAPatchThatChangesNothing) {
  user.given_patched(ann.id, R"({"company": "A"})");
  user.patch(ann.id, "{}", {{"If-Match", "\"1\""}}).then(412);
}

TEST_F(ETag, IfMatchOnAContactThatIsNotThereIs404) {
  user.patch("AbCdEfGhIjKlMnOpQrSt", "{}", {{"If-Match", "*"}}).then(404);
  user.remove("AbCdEfGhIjKlMnOpQrSt", {{"If-Match", "\"1\""}}).then(404);
}

TEST_F(ETag, IfMatchHoldsForReadingToo) {
  user.given_patched(ann.id, R"({"company": "A"})");

  for (const std::string value : {"\"2\"", "\"1\", \"2\"", "*"}) {
    user.read(ann.id, {{"If-Match", value}}).then(200).with_header("ETag", "\"2\"");
  }
  user.read(ann.id, {{"If-Match", "\"1\""}})
      .then(412)
      .with_member("version", 2)
      .with_member("changed_fields", json::array{"company"})
      .with_header("ETag", "\"2\"");
  user.send("HEAD", contact_path(ann.id), {{"If-Match", "\"1\""}}).then(412);
  user.read(ann.id, {{"If-Match", "1"}}).then(400).with_error_naming("If-Match");
  user.read("AbCdEfGhIjKlMnOpQrSt", {{"If-Match", "*"}}).then(404);
}

TEST_F(ETag, IfMatchOnAPastVersionIsOfThatVersion) {
  user.given_patched(ann.id, R"({"company": "A"})");
  const std::string past = contact_path(ann.id) + "?version=1";

  user.send("GET", past, {{"If-Match", "\"1\""}}).then(200).with_header("ETag", "\"1\"");
  user.send("GET", past, {{"If-Match", "\"2\""}}).then(412).with_member("version", 1);
}

TEST_F(ETag, IfMatchIsAskedBeforeIfNoneMatch) {
  user.read(ann.id, {{"If-Match", "\"7\""}, {"If-None-Match", "\"1\""}}).then(412);
  user.read(ann.id, {{"If-Match", "\"1\""}, {"If-None-Match", "\"1\""}}).then(304);
}

TEST_F(ETag, IfNoneMatchOfTheCurrentVersionIs304) {
  for (const std::string value : {"\"1\"", "W/\"1\"", "\"7\", \"1\"", "*"}) {
    const Answer answer = user.read(ann.id, {{"If-None-Match", value}}).then(304);
    answer.with_header("ETag", "\"1\"").without_header("Content-Type");
    EXPECT_EQ(answer.body(), "");
  }
  user.send("HEAD", contact_path(ann.id), {{"If-None-Match", "\"1\""}}).then(304);
}

TEST_F(ETag, IfNoneMatchOfAnotherVersionSendsTheContact) {
  user.given_patched(ann.id, R"({"company": "A"})");
  user.read(ann.id, {{"If-None-Match", "\"1\""}}).then(200).with_field("company", "A");
  user.read(ann.id, {{"If-None-Match", "nonsense"}}).then(200);
}

TEST_F(ETag, ConditionsThatAChangeDoesNotTakeAre400AndChangeNothing) {
  for (const std::string tag : {"*", "\"1\""}) {
    user.patch(ann.id, R"({"company": "A"})", {{"If-None-Match", tag}})
        .then(400)
        .with_error_naming("If-None-Match");
    user.remove(ann.id, {{"If-None-Match", tag}}).then(400).with_error_naming("If-None-Match");
    user.create("{}", {{"If-Match", tag}}).then(400).with_error_naming("If-Match");
    user.create("{}", {{"If-None-Match", tag}}).then(400).with_error_naming("If-None-Match");
  }
  EXPECT_EQ(user.list().json().at("pagination").at("total"), 1);
  user.read(ann.id).then(200).with_header("ETag", "\"1\"");
}

TEST_F(ETag, IfNoneMatchOnAContactThatIsNotThereIs404) {
  user.read("AbCdEfGhIjKlMnOpQrSt", {{"If-None-Match", "*"}}).then(404);
}

}  // namespace
}  // namespace contactd::test
