#include <boost/json.hpp>
#include <utility>
#include <vector>

#include "tests/api/contract_fields.hpp"
#include "tests/support/api_fixture.hpp"

// What a body may not be: 400 with everything that is wrong with it, and nothing changed.
namespace contactd::test {
namespace {

namespace json = boost::json;

class Validation : public ApiTest {
 protected:
  void TearDown() override {
    user.read(ann.id).then(200).with_header("ETag", ann.etag);  // nothing was changed
    EXPECT_EQ(user.read(ann.id).data(), ann.data);
  }

  const Contact ann = user.given_contact(
      R"({"first_name": "Ann", "email": "ann@example.com", "company": "Acme Inc"})");
};

struct WrongValue {
  std::string_view type;
  json::value value;
};

std::vector<WrongValue> values_of_all_types() {
  return {{"null", nullptr}, {"boolean", true},        {"number", 42},
          {"string", "x"},   {"array", json::array{}}, {"object", json::object{}}};
}

// The sentence for a value of this type; empty where the field takes it.
std::string complaint_about(const ContractField& field, std::string_view type) {
  const std::string received = ", received " + std::string{type};
  switch (field.takes) {
    case Takes::text:
      return type == "string" ? "" : "Expected string" + received;
    case Takes::text_or_null:
      return type == "string" || type == "null" ? "" : "Expected string" + received;
    case Takes::email:
      return type == "string" ? "Invalid email" : "Expected string" + received;
    case Takes::status:
      if (type != "string") return "Expected 'active' | 'inactive'" + received;
      return "Invalid enum value. Expected 'active' | 'inactive', received 'x'";
    case Takes::tags:
      return type == "array" ? "" : "Expected array" + received;
  }
  return {};
}

TEST_F(Validation, EveryFieldRefusesEveryWrongType) {
  for (const ContractField& field : contract_fields) {
    for (const auto& [type, value] : values_of_all_types()) {
      const std::string complaint = complaint_about(field, type);
      if (complaint.empty()) continue;
      const std::string body = json::serialize(json::object{{field.name, value}});
      user.patch(ann.id, body).then(400).with_field_error(field.name, complaint);
      user.create(body).then(400).with_field_error(field.name, complaint);
    }
  }
}

TEST_F(Validation, TagsRefuseWhatIsNoString) {
  for (const auto& [type, value] : values_of_all_types()) {
    if (type == "string") continue;
    const std::string body = json::serialize(json::object{{"tags", json::array{"vip", value}}});
    user.patch(ann.id, body)
        .then(400)
        .with_field_error("tags", "Expected string, received " + std::string{type});
  }
}

TEST_F(Validation, EveryViolatedFieldIsListedAndNotTheFirstAlone) {
  user.patch(ann.id, R"({"first_name": null, "status": "gone", "company": "Other", "tags": "vip",
                         "email": "nobody", "organizationID": "x", "id": "y"})")
      .then(400)
      .with_form_error("Unrecognized key(s) in object: 'organizationID', 'id'")
      .with_field_error("organizationID", "Unrecognized key")
      .with_field_error("id", "Unrecognized key")
      .with_field_error("first_name", "Expected string, received null")
      .with_field_error("status",
                        "Invalid enum value. Expected 'active' | 'inactive', received 'gone'")
      .with_field_error("tags", "Expected array, received string")
      .with_field_error("email", "Invalid email");
}

TEST_F(Validation, AnUnknownFieldStandsInBothPlaces) {
  for (const std::string name : {"organizationID", "id", "created_at", "updated_at", "version",
                                 "First_Name", "first_name ", "__proto__", ""}) {
    const std::string body = json::serialize(json::object{{name, "x"}});
    const Answer answer = user.patch(ann.id, body).then(400);
    answer.with_form_error("Unrecognized key(s) in object: '" + name + "'");
    EXPECT_TRUE(answer.json().at("details").at("fieldErrors").as_object().contains(name));
  }
}

TEST_F(Validation, AGoodFieldBesideABadOneHasNoFieldError) {
  const Answer answer = user.patch(ann.id, R"({"company": "Other", "first_name": 1})").then(400);
  const json::value expected = json::parse(
      R"({"formErrors": [], "fieldErrors": {"first_name": ["Expected string, received number"]}})");
  EXPECT_EQ(answer.json().at("details"), expected);
}

TEST_F(Validation, ABodyMustBeAnObject) {
  const std::vector<std::pair<std::string, std::string>> bodies = {
      {"[]", "array"},  {R"([{"first_name": "x"}])", "array"},
      {"null", "null"}, {"true", "boolean"},
      {"12", "number"}, {R"("{}")", "string"}};
  for (const auto& [body, type] : bodies) {
    user.patch(ann.id, body).then(400).with_form_error("Expected object, received " + type);
    user.create(body).then(400).with_form_error("Expected object, received " + type);
  }
}

TEST_F(Validation, MalformedJsonIs400) {
  for (const std::string body :
       {"", " ", "{", "}", "{}}", "{} {}", "{\"first_name\"}", "{\"first_name\":}",
        "{\"first_name\": \"x\",}", "{'first_name': 'x'}", "{first_name: \"x\"}",
        "{\"first_name\": \"x\"} // no", "{\"first_name\": \"a\nb\"}", "{\"first_name\": \"\\x\"}",
        "{\"first_name\": undefined}", "first_name=x", "\xEF\xBB\xBF{}"}) {
    user.patch(ann.id, body).then(400).with_error_naming("");
  }
}

TEST_F(Validation, DuplicateMemberNamesAre400) {
  for (const std::string body :
       {R"({"first_name": "a", "first_name": "b"})", R"({"first_name": "a", "first_name": "a"})",
        R"({"first_name": "a", "first\u005fname": "b"})", R"({"x": {"y": 1, "y": 2}})"}) {
    user.patch(ann.id, body).then(400);
    user.create(body).then(400);
  }
}

TEST_F(Validation, InvalidUtf8Is400) {
  for (const std::string text : {"\xff", "\xc3", "\xc3(", "\xed\xa0\x80", "\xc0\x80",
                                 "\xf4\x90\x80\x80", "\xe2\x82", "a\x80z"}) {
    user.patch(ann.id, "{\"first_name\": \"" + text + "\"}").then(400);
    user.patch(ann.id, "{\"" + text + "\": \"x\"}").then(400);
  }
}

TEST_F(Validation, LoneSurrogatesAre400) {
  for (const std::string text : {R"(\ud800)", R"(\udc00)", R"(\ud800x)", R"(\ud800\ud800)",
                                 R"(\udc00\ud800)", R"(x\udfff)"}) {
    user.patch(ann.id, R"({"first_name": ")" + text + "\"}").then(400);
  }
}

TEST_F(Validation, NulCharactersAre400) {
  using std::string_literals::operator""s;
  for (const std::string& body : {R"({"first_name": "a\u0000b"})"s, R"({"tags": ["\u0000"]})"s,
                                  R"({"a\u0000": 1})"s, "{\"first_name\": \"a\0b\"}"s, "{}\0"s}) {
    user.patch(ann.id, body).then(400);
  }
}

TEST_F(Validation, NestingIsBoundedBy413) {
  const auto nested = [](std::size_t levels) {
    return R"({"tags": )" + std::string(levels - 1, '[') + std::string(levels - 1, ']') + '}';
  };
  user.patch(ann.id, nested(32)).then(400);
  user.patch(ann.id, nested(33)).then(413);
  user.create(nested(10'000)).then(413);
}

TEST_F(Validation, LengthsAreBoundedInCharactersAndNotInBytes) {
  for (const ContractField& field : contract_fields) {
    if (field.takes != Takes::text && field.takes != Takes::text_or_null) continue;
    const Contact bob = user.given_contact();
    std::string longest;
    for (std::size_t i = 0; i < field.length_max; ++i) longest += "é";

    user.patch(bob.id, json::serialize(json::object{{field.name, longest}})).then(200);
    user.patch(bob.id, json::serialize(json::object{{field.name, longest + "x"}}))
        .then(400)
        .with_field_error(field.name, "String must contain at most " +
                                          std::to_string(field.length_max) + " character(s)");
  }
}

TEST_F(Validation, TagsAreBoundedInNumberAndLength) {
  const Contact bob = user.given_contact();
  const auto body = [](std::size_t count, std::size_t length) {
    json::array tags;
    for (std::size_t i = 0; i < count; ++i) tags.emplace_back(json::string(length, 't'));
    return json::serialize(json::object{{"tags", std::move(tags)}});
  };
  user.patch(bob.id, body(100, 100)).then(200);
  user.patch(bob.id, body(101, 1))
      .then(400)
      .with_field_error("tags", "Array must contain at most 100 element(s)");
  user.patch(bob.id, body(1, 101))
      .then(400)
      .with_field_error("tags", "String must contain at most 100 character(s)");
}

TEST_F(Validation, AnEmailIsWhatHtmlsInputTakes) {
  const std::string label(63, 'a');
  for (const std::string& good : {std::string{"a@b"}, std::string{"a.b.@c"}, std::string{"..@c.d"},
                                  std::string{"!#$%&'*+/=?^_`{|}~-@x.y"}, "x@" + label + ".com",
                                  std::string{"1@2.3"}, std::string{"a@xn--bcher-kva.example"}}) {
    user.create(json::serialize(json::object{{"email", good}})).then(201).with_field("email", good);
  }
  for (const std::string& bad :
       {std::string{}, std::string{"a"}, std::string{"@b"}, std::string{"a@"}, std::string{"a@b@c"},
        std::string{"a b@c"}, std::string{"a@-b"}, std::string{"a@b-"}, std::string{"a@b..c"},
        std::string{"a@b."}, std::string{" a@b"}, std::string{"a@b\n"}, std::string{"é@b"},
        std::string{"a@bücher.example"}, std::string{"\"a\"@b"}, std::string{"a@[127.0.0.1]"},
        "x@a" + label + ".com", std::string{"a@b_c"}, std::string{"Ann <a@b>"}}) {
    user.create(json::serialize(json::object{{"email", bad}}))
        .then(400)
        .with_field_error("email", "Invalid email");
  }
}

TEST_F(Validation, AnEmailHasAtMost254Octets) {
  const auto email_of = [](std::size_t octets) {
    const std::string domain = "@" + std::string(60, 'd') + ".com";
    return json::serialize(
        json::object{{"email", std::string(octets - domain.size(), 'l') + domain}});
  };
  user.create(email_of(254)).then(201);
  user.create(email_of(255)).then(400).with_field_error("email", "Invalid email");
}

TEST_F(Validation, ALongBadValueIsNotSentBackWhole) {
  const std::string body = json::serialize(json::object{{"status", std::string(100'000, 's')}});
  EXPECT_LT(user.patch(ann.id, body).then(400).body().size(), 2'000U);

  json::object many;
  for (int i = 0; i < 5'000; ++i) many["unknown" + std::to_string(i)] = 1;
  EXPECT_LT(user.patch(ann.id, json::serialize(many)).then(400).body().size(), 10'000U);
}

TEST_F(Validation, AQueryParameterIsA400ThatNamesIt) {
  user.send("PATCH", contact_path(ann.id) + "?dry_run=1", {}, R"({"first_name": "x"})")
      .then(400)
      .with_error_naming("dry_run");
  user.send("POST", "/api/v1/contacts?upsert=1", {}, "{}").then(400).with_error_naming("upsert");
  user.send("DELETE", contact_path(ann.id) + "?force").then(400).with_error_naming("force");
}

}  // namespace
}  // namespace contactd::test
