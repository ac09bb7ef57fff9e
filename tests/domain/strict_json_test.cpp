#include "domain/strict_json.hpp"

#include <gtest/gtest.h>

#include <boost/json/serialize.hpp>
#include <vector>

#include "tests/domain/samples.hpp"

namespace contactd::domain {
namespace {

using namespace contactd::test;
namespace json = boost::json;

std::variant<json::value, JsonError> parse(std::string_view text) {
  return parse_strict_json(text, {});
}

std::string nested(std::size_t levels) {
  return std::string(levels, '[') + std::string(levels, ']');
}

std::string nested_objects(std::size_t levels) {
  std::string text;
  for (std::size_t i = 0; i < levels; ++i) text += i + 1 < levels ? R"({"a":)" : "{";
  return text + std::string(levels, '}');
}

TEST(StrictJson, ReadsRfc8259) {
  for (const char* text :
       {"null", "true", "false", "0", "-0", "1.5e3", "\"\"", "[]", "{}", " {\"a\" : [1 , 2]}\r\n\t",
        R"({"a":{"a":1},"b":[{"a":1},{"a":2}]})", R"("\ud83d\ude00\/\b\u00e9")", "1e-400",
        "18446744073709551616", "123456789012345678901234567890"}) {
    EXPECT_TRUE(std::holds_alternative<json::value>(parse(text))) << text;
  }
}

TEST(StrictJson, KeepsWhatItReads) {
  const auto read = parse(R"({"z":"\ud83d\ude00\u0001\n","a":[1,-2,null,true,{}]})");
  ASSERT_TRUE(std::holds_alternative<json::value>(read));
  EXPECT_EQ(json::serialize(std::get<json::value>(read)),
            "{\"z\":\"😀\\u0001\\n\",\"a\":[1,-2,null,true,{}]}");
}

TEST(StrictJson, SaysWhatIsWrongWithAString) {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"{\"a\":\"\xff\"}", "UTF-8"},
      {"{\"a\":\"\xed\xa0\x80\"}", "UTF-8"},
      {R"({"a":"\ud800"})", "lone surrogate"},
      {R"({"a":"x\udc00y"})", "lone surrogate"},
      {R"({"a":"\ud83d\u0041"})", "lone surrogate"},
      {"{\"a\":\"\t\"}", "control character"},
      {"{\"a\":\"x\ny\"}", "control character"},
      {"", "empty"},
      {" \n", "empty"},
      {"\xef\xbb\xbf{}", "byte order mark"},
  };
  for (const auto& [text, word] : rows) {
    const auto read = parse(text);
    ASSERT_TRUE(std::holds_alternative<JsonError>(read)) << text;
    EXPECT_NE(std::get<JsonError>(read).message.find(word), std::string::npos)
        << std::get<JsonError>(read).message;
  }
}

struct BadRow {
  const char* what;
  std::string text;
};

TEST(StrictJson, RefusesWhatIsNotOneValidValue) {
  const std::vector<BadRow> rows = {
      {"nothing", ""},
      {"blanks", "  \n"},
      {"a word", "undefined"},
      {"NaN", "NaN"},
      {"Infinity", "Infinity"},
      {"a leading zero", "01"},
      {"a plus", "+1"},
      {"a bare point", "1."},
      {"single quotes", "{'a':1}"},
      {"a trailing comma", "[1,]"},
      {"a trailing comma in an object", R"({"a":1,})"},
      {"a comment", "[1/*x*/]"},
      {"a line comment", "1//x"},
      {"an open string", "\"abc"},
      {"an open object", "{\"a\":1"},
      {"an open array", "["},
      {"two values", "{}{}"},
      {"trailing bytes", "{} x"},
      {"a trailing NUL byte", std::string("{}\0", 3)},
      {"a byte order mark", "\xef\xbb\xbf{}"},
      {"a bare newline in a string", "\"a\nb\""},
      {"a bare tab in a string", "\"a\tb\""},
      {"an unknown escape", R"("\x41")"},
      {"a short escape", R"("\u12")"},
      {"a lone leading surrogate", R"("\ud800")"},
      {"a leading surrogate before a letter", R"("\ud800x")"},
      {"two leading surrogates", R"("\ud800\ud800")"},
      {"a leading surrogate before another escape", R"("\ud800\u0041")"},
      {"a lone trailing surrogate", R"("\udc00")"},
      {"surrogates the wrong way round", R"("\ude00\ud83d")"},
      {"a lone surrogate in a name", R"({"\ud800":1})"},
      {"a surrogate in UTF-8", "\"\xed\xa0\x80\""},
      {"an overlong slash", "\"\xc0\xaf\""},
      {"an overlong NUL", "\"\xc0\x80\""},
      {"a bare continuation byte", "\"\x80\""},
      {"a cut sequence", "\"\xe6\xbc\""},
      {"past U+10FFFF", "\"\xf4\x90\x80\x80\""},
      {"a byte that never is UTF-8", "\"\xff\""},
      {"invalid UTF-8 in a name", "{\"\xff\":1}"},
      {"invalid UTF-8 outside a string", "\xc3\xa9"},
      {"an escaped NUL", R"("a\u0000b")"},
      {"an escaped NUL in a name", R"({"a\u0000":1})"},
      {"a NUL byte in a string", std::string("\"a\0b\"", 5)},
      {"a number beyond a double", "1e400"},
      {"a negative number beyond a double", "[-1e999]"},
  };
  for (const BadRow& row : rows) {
    SCOPED_TRACE(row.what);
    const auto read = parse(row.text);
    const auto* error = std::get_if<JsonError>(&read);
    ASSERT_NE(error, nullptr);
    EXPECT_EQ(error->kind, JsonError::Kind::malformed);
    EXPECT_FALSE(error->message.empty());
    EXPECT_EQ(error->duplicate_key, std::nullopt);
  }
}

TEST(StrictJson, NamesAMemberThatComesTwice) {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {R"({"a":1,"a":1})", "a"},
      {R"({"a":1,"b":2,"a":3})", "a"},
      {R"({"x":{"a":1,"b":1,"b":2}})", "b"},
      {R"([{"a":1},[{"c":1,"c":2}]])", "c"},
      {R"({"a":1,"\u0061":2})", "a"},
      {R"({"first_name":1,"first\u005fname":2})", "first_name"},
      {R"({"\"":1,"\u0022":2})", "\""},
      {R"({"":1,"":2})", ""},
      {R"({"😀":1,"\ud83d\ude00":2})", "😀"},
  };
  for (const auto& [text, name] : rows) {
    const auto read = parse(text);
    const auto* error = std::get_if<JsonError>(&read);
    ASSERT_NE(error, nullptr) << text;
    EXPECT_EQ(error->kind, JsonError::Kind::malformed);
    EXPECT_EQ(error->duplicate_key, name) << text;
  }
}

TEST(StrictJson, FindsADuplicateAmongManyMembers) {
  std::string text = "{";
  for (int i = 0; i < 500; ++i) text += "\"m" + std::to_string(i) + "\":0,";
  EXPECT_TRUE(std::holds_alternative<json::value>(parse(text + "\"n\":0}")));
  const auto read = parse(text + "\"m250\":0}");
  ASSERT_TRUE(std::holds_alternative<JsonError>(read));
  EXPECT_EQ(std::get<JsonError>(read).duplicate_key, "m250");
}

TEST(StrictJson, BoundsTheDepth) {
  for (const std::string& text : {nested(json_depth_max), nested_objects(json_depth_max)}) {
    EXPECT_TRUE(std::holds_alternative<json::value>(parse(text))) << text;
  }
  for (const std::string& text :
       {nested(json_depth_max + 1), nested_objects(json_depth_max + 1), nested(100'000)}) {
    const auto read = parse(text);
    ASSERT_TRUE(std::holds_alternative<JsonError>(read));
    EXPECT_EQ(std::get<JsonError>(read).kind, JsonError::Kind::too_deep);
  }
}

TEST(StrictJson, SurvivesDamage) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  const std::string whole =
      R"({"first_name":"A\u00e9\ud83d\ude00","tags":["a","b",[1e5,{"x":null}]],"status":true})";
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    ASSERT_TRUE(std::holds_alternative<JsonError>(parse(whole.substr(0, cut)))) << cut;
  }
  for (int i = 0; i < 5'000; ++i) {
    std::string text = whole;
    for (std::size_t flips = 1 + random.below(4); flips > 0; --flips) {
      text[random.below(text.size())] = static_cast<char>(random.below(256));
    }
    const auto read = parse(text);
    if (const auto* value = std::get_if<json::value>(&read)) {
      ASSERT_TRUE(std::holds_alternative<json::value>(parse(json::serialize(*value)))) << text;
    }
  }
}

TEST(StrictJson, NamesTypes) {
  EXPECT_EQ(json_type_name(nullptr), "null");
  EXPECT_EQ(json_type_name(true), "boolean");
  EXPECT_EQ(json_type_name(-1), "number");
  EXPECT_EQ(json_type_name(std::uint64_t{1} << 63U), "number");
  EXPECT_EQ(json_type_name(1.5), "number");
  EXPECT_EQ(json_type_name("x"), "string");
  EXPECT_EQ(json_type_name(json::array{}), "array");
  EXPECT_EQ(json_type_name(json::object{}), "object");
}

}  // namespace
}  // namespace contactd::domain
