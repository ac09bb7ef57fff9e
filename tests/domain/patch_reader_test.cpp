#include "domain/contact/patch_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "domain/strict_json.hpp"
#include "tests/domain/samples.hpp"

namespace contactd::domain {
namespace {

using namespace contactd::test;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
namespace json = boost::json;

ContactPatch patch_of(const json::value& body) {
  auto read = read_patch(body);
  if (auto* patch = std::get_if<ContactPatch>(&read)) return std::move(*patch);
  ADD_FAILURE() << "refused: " << json::serialize(body).substr(0, 200);
  return {};
}

ValidationErrors errors_of(const json::value& body) {
  auto read = read_patch(body);
  if (auto* errors = std::get_if<ValidationErrors>(&read)) return std::move(*errors);
  ADD_FAILURE() << "taken: " << json::serialize(body).substr(0, 200);
  return {};
}

std::string sentence_for(std::string_view field, const json::value& value) {
  const ValidationErrors errors = errors_of(json::object{{field, value}});
  EXPECT_THAT(errors.form, IsEmpty()) << field;
  if (errors.field.size() != 1 || errors.field[0].first != field) return "not one sentence";
  return errors.field[0].second;
}

json::string repeated(std::size_t count, std::string_view piece) {
  json::string out;
  for (; count > 0; --count) out.append(piece.begin(), piece.end());
  return out;
}

// What a field of that kind takes of each JSON type: true, or the type that it expected.
struct Expectation {
  bool takes_null;
  bool takes_text;
  bool takes_array;
  std::string expected;
};

Expectation expectation_of(FieldKind kind) {
  switch (kind) {
    case FieldKind::text:
      return {false, true, false, "string"};
    case FieldKind::nullable_text:
      return {true, true, false, "string"};
    case FieldKind::email:
      return {false, true, false, "string"};
    case FieldKind::status:
      return {false, true, false, "'active' | 'inactive'"};
    case FieldKind::tags:
      return {false, false, true, "array"};
  }
  throw std::logic_error("a kind of field that isn't one");
}

TEST(PatchReader, TakesOfEveryFieldItsTypesOnly) {
  for (const FieldSpec& spec : field_table) {
    const Expectation expects = expectation_of(spec.kind);
    const auto check = [&](const json::value& value, bool taken) {
      SCOPED_TRACE(std::string{spec.name} + ": " + json::serialize(value));
      if (taken) {
        EXPECT_EQ(patch_of(json::object{{spec.name, value}}).size(), 1U);
      } else {
        EXPECT_EQ(sentence_for(spec.name, value), "Expected " + expects.expected + ", received " +
                                                      std::string{json_type_name(value)});
      }
    };
    const char* text = spec.kind == FieldKind::email    ? "ann@x.io"
                       : spec.kind == FieldKind::status ? "active"
                                                        : "x";
    check(text, expects.takes_text);
    check(nullptr, expects.takes_null);
    check(json::array{"x"}, expects.takes_array);
    check(json::array{}, expects.takes_array);
    for (const json::value& never :
         {json::value(true), json::value(0), json::value(std::uint64_t{1} << 63U), json::value(1.5),
          json::value(json::object{})}) {
      check(never, false);
    }
  }
}

TEST(PatchReader, ReadsEachKindOfValue) {
  const auto patch = patch_of(json::object{{"first_name", "A\"\n漢"},
                                           {"email", "Ann@X.io"},
                                           {"status", "inactive"},
                                           {"company", nullptr},
                                           {"website", ""},
                                           {"tags", {"b", "a", "b", ""}}});
  EXPECT_EQ(patch, (ContactPatch{set(Field::first_name, "A\"\n漢"), set(Field::email, "ann@x.io"),
                                 set(Field::status, "inactive"), clear(Field::company),
                                 set(Field::website, ""), tags({"b", "a", "b", ""})}));
  EXPECT_EQ(patch_of(json::object{}), ContactPatch{});
}

TEST(PatchReader, RefusesABodyThatIsNoObject) {
  const std::vector<std::pair<json::value, std::string>> rows = {{json::array{}, "array"},
                                                                 {nullptr, "null"},
                                                                 {"x", "string"},
                                                                 {1, "number"},
                                                                 {true, "boolean"}};
  for (const auto& [body, type] : rows) {
    const ValidationErrors errors = errors_of(body);
    EXPECT_THAT(errors.form, ElementsAre("Expected object, received " + type));
    EXPECT_THAT(errors.field, IsEmpty());
  }
}

TEST(PatchReader, ListsEverythingThatIsWrong) {
  const ValidationErrors errors = errors_of(json::parse(
      R"({"organizationID":"o","email":"x","first_name":null,"tags":null,"id":1,
          "status":"foo","company":"fine"})"));
  EXPECT_THAT(errors.form, ElementsAre("Unrecognized key(s) in object: 'organizationID', 'id'"));
  EXPECT_THAT(
      errors.field,
      ElementsAre(
          Pair("email", "Invalid email"), Pair("first_name", "Expected string, received null"),
          Pair("tags", "Expected array, received null"),
          Pair("status", "Invalid enum value. Expected 'active' | 'inactive', received 'foo'"),
          Pair("organizationID", "Unrecognized key"), Pair("id", "Unrecognized key")));
}

TEST(PatchReader, RefusesMembersThatAreNotTheClients) {
  for (const char* name : {"id", "organizationID", "created_at", "updated_at", "Email", "firstName",
                           "", "__proto__", "version"}) {
    EXPECT_EQ(sentence_for("status", "x").substr(0, 7), "Invalid");
    const ValidationErrors errors = errors_of(json::object{{name, "x"}});
    EXPECT_THAT(errors.form,
                ElementsAre("Unrecognized key(s) in object: '" + std::string{name} + "'"));
    EXPECT_THAT(errors.field, ElementsAre(Pair(name, "Unrecognized key")));
  }
}

TEST(PatchReader, GivesAHostileBodyLittleOfItselfBack) {
  json::object body;
  for (int i = 0; i < 1'000; ++i) body["unknown" + std::to_string(i)] = 1;
  body[std::string(100'000, 'k')] = 1;
  body["status"] = repeated(10'000, "é");
  const ValidationErrors errors = errors_of(body);
  std::size_t bytes = 0;
  for (const std::string& sentence : errors.form) bytes += sentence.size();
  for (const auto& [name, sentence] : errors.field) bytes += name.size() + sentence.size();
  EXPECT_LT(bytes, 4'096U);
  ASSERT_EQ(errors.form.size(), 1U);
  EXPECT_TRUE(errors.form[0].ends_with(" and 981 more")) << errors.form[0];
}

TEST(PatchReader, CutsAQuotedValueBetweenCharacters) {
  EXPECT_EQ(sentence_for("status", repeated(100, "漢")),
            "Invalid enum value. Expected 'active' | 'inactive', received '" +
                std::string{repeated(33, "漢")} + "...'");
}

TEST(PatchReader, BoundsLengthsInCodePoints) {
  for (const FieldSpec& spec : field_table) {
    if (spec.kind != FieldKind::text && spec.kind != FieldKind::nullable_text) continue;
    SCOPED_TRACE(spec.name);
    const std::size_t length_max = spec.length_max;
    for (const char* character : {"a", "é", "漢", "😀", "\""}) {
      const json::object fits{{spec.name, repeated(length_max, character)}};
      EXPECT_EQ(patch_of(fits).size(), 1U);
      EXPECT_EQ(sentence_for(spec.name, repeated(length_max + 1, character)),
                "String must contain at most " + std::to_string(length_max) + " character(s)");
    }
  }
}

TEST(PatchReader, KnowsThePublishedLengths) {
  for (const FieldSpec& spec : field_table) {
    if (spec.kind != FieldKind::text) continue;
    EXPECT_EQ(spec.length_max, 1000U) << spec.name;
  }
  EXPECT_EQ(spec_of(Field::company).length_max, 1000U);
  EXPECT_EQ(spec_of(Field::website).length_max, 2000U);
  EXPECT_EQ(spec_of(Field::linkedin).length_max, 2000U);
}

TEST(PatchReader, BoundsTags) {
  json::array most;
  for (int i = 0; i < 100; ++i) most.emplace_back(repeated(100, "漢"));
  EXPECT_EQ(patch_of(json::object{{"tags", most}}).size(), 1U);
  json::array too_many = most;
  too_many.emplace_back("x");
  EXPECT_EQ(sentence_for("tags", too_many), "Array must contain at most 100 element(s)");
  EXPECT_EQ(sentence_for("tags", json::array{"fine", repeated(101, "漢")}),
            "String must contain at most 100 character(s)");
  EXPECT_EQ(sentence_for("tags", json::array{"fine", nullptr}), "Expected string, received null");
  EXPECT_EQ(sentence_for("tags", json::array{json::array{}}), "Expected string, received array");
}

TEST(PatchReader, BoundsAnEmailInOctets) {
  const std::string longest = std::string(249, 'a') + "@x.io";
  EXPECT_EQ(patch_of(json::object{{"email", json::string{longest}}}),
            ContactPatch{set(Field::email, longest)});
  EXPECT_EQ(sentence_for("email", json::string{"a" + longest}), "Invalid email");
  EXPECT_EQ(sentence_for("email", ""), "Invalid email");
}

TEST(PatchReader, CountsCodePoints) {
  EXPECT_EQ(count_characters(""), 0U);
  EXPECT_EQ(count_characters("aé漢😀"), 4U);
  EXPECT_EQ(count_characters("e\u0301"), 2U);
}

}  // namespace
}  // namespace contactd::domain
