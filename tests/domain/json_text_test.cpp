#include "domain/json_text.hpp"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <vector>

#include "domain/contact/contact.hpp"
#include "tests/domain/samples.hpp"

namespace contactd::domain {
namespace {

using namespace contactd::test;

TEST(JsonText, WritesAStringInOneWayOnly) {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"", R"("")"},
      {"Ann", R"("Ann")"},
      {"a\"b", R"("a\"b")"},
      {"a\\b", R"("a\\b")"},
      {"a/b", R"("a/b")"},
      {"\b\t\n\f\r", R"("\b\t\n\f\r")"},
      {"\x01\x0b\x1f", R"("\u0001\u000b\u001f")"},
      {"\x7f", "\"\x7f\""},
      {"é漢😀\u2028", "\"é漢😀\u2028\""},
      {std::string("\0", 1), R"("\u0000")"},
      {"\"\"", R"("\"\"")"},
      {"end\\", R"("end\\")"},
  };
  for (const auto& [text, json] : rows) {
    EXPECT_EQ(json_string(text), json);
    std::string out = "x";
    append_json_string(out, text);
    EXPECT_EQ(out, "x" + json);
  }
}

TEST(JsonText, EveryByteBelow128ReadsBack) {
  for (char c = 0; c < 127; ++c) {
    const std::string text{'<', c, '>'};
    const boost::json::value read = boost::json::parse(json_string(text));
    EXPECT_EQ(text_of_canonical(json_string(text)), text) << static_cast<int>(c);
    EXPECT_EQ(read.as_string(), boost::json::string_view{text}) << static_cast<int>(c);
  }
}

// Boost.JSON is the judge: what it takes as a string, unescaped.
TEST(JsonText, KnowsWhatMayStandUnescaped) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  const std::vector<std::string> tails = {"",         "\x80",         "\xbf", "\x80\x80",
                                          "\xbf\xbf", "\x80\x80\x80", "\xc2", "abcdefghijkl"};
  for (unsigned first = 0; first < 256; ++first) {
    if (first == '"' || first == '\\') continue;
    for (unsigned second = 0; second < 256; ++second) {
      if (second == '"' || second == '\\') continue;
      std::string text(random.below(18), 'a');
      text += static_cast<char>(first);
      text += static_cast<char>(second);
      text += random.pick(tails);
      boost::json::error_code ec;
      boost::json::parse('"' + text + '"', ec);
      EXPECT_EQ(is_utf8_without_controls(text), !ec) << first << ' ' << second;
      const bool control = first < 0x20 || second < 0x20;
      if (!control) {
        EXPECT_EQ(is_utf8(text), !ec) << first << ' ' << second;
      }
    }
  }
  for (const char* text : {"", "Jane", "é漢😀\u2028", "\x7f", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"}) {
    EXPECT_TRUE(is_utf8_without_controls(text)) << text;
    EXPECT_TRUE(is_utf8(text + std::string{"\n\0", 2})) << text;
  }
  for (const char* text : {"a\n", "\x1f", "\xf4\x90\x80\x80", "\xed\xa0\x80", "\xe0\x9f\xbf",
                           "\xf0\x8f\xbf\xbf", "12345678\xc3", "\xc0\x80"}) {
    EXPECT_FALSE(is_utf8_without_controls(text)) << text;
  }
}

struct LengthRow {
  std::string json;
  std::optional<std::size_t> length;
};

TEST(JsonText, MeasuresTheValueThatATextStartsWith) {
  const std::vector<LengthRow> rows = {
      {"null", 4},
      {"null,\"x\":1", 4},
      {R"("")", 2},
      {R"("a")", 3},
      {R"("a","b")", 3},
      {R"("a\"b"}")", 6},
      {R"("a\\"x)", 5},
      {"[]", 2},
      {"[]]", 2},
      {R"(["a"])", 5},
      {R"(["a","b]"],1)", 10},
      {R"(["\"]"])", 7},
      {"", {}},
      {"nul", {}},
      {"true", {}},
      {"1", {}},
      {"{}", {}},
      {" null", {}},
      {"\"", {}},
      {"\"a", {}},
      {"\"a\\", {}},
      {"\"a\\\"", {}},
      {"[", {}},
      {"[\"a\"", {}},
      {"[\"a\",", {}},
      {"[\"a\",]", {}},
      {"[\"a\" ]", {}},
      {"[null]", {}},
      {"[[]]", {}},
      {"[\"a]", {}},
  };
  for (const LengthRow& row : rows) {
    EXPECT_EQ(canonical_value_length(row.json), row.length) << row.json;
  }
}

struct ItemsRow {
  std::string list;
  std::optional<std::vector<std::string_view>> items;
};

TEST(JsonText, TakesAListApart) {
  using Items = std::vector<std::string_view>;
  const std::vector<ItemsRow> rows = {
      {"[]", Items{}},
      {R"(["a"])", Items{R"("a")"}},
      {R"(["a","","a"])", Items{R"("a")", R"("")", R"("a")"}},
      {R"(["\\","\"],[\"","b]"])", Items{R"("\\")", R"("\"],[\"")", R"("b]")"}},
      {"", {}},
      {"[", {}},
      {R"("a")", {}},
      {"null", {}},
      {R"(["a"]])", {}},
      {R"(["a",])", {}},
      {"[null]", {}},
  };
  for (const ItemsRow& row : rows) EXPECT_EQ(canonical_items(row.list), row.items) << row.list;
}

TEST(JsonText, RandomStringsReadBackAndAreMeasuredWhole) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  for (int i = 0; i < 2'000; ++i) {
    const std::string text = random.text(12);
    const std::string json = json_string(text);
    ASSERT_EQ(boost::json::parse(json).as_string(), boost::json::string_view{text});
    ASSERT_EQ(text_of_canonical(json), text);
    ASSERT_EQ(canonical_value_length(json + "]\""), json.size());
    const std::string list = FieldValue::list({text, random.text(3), text}).json();
    ASSERT_EQ(canonical_value_length(list + ",\"x\":\"]\""), list.size());
    for (std::size_t cut = 0; cut < list.size(); ++cut) {
      ASSERT_EQ(canonical_value_length(std::string_view{list}.substr(0, cut)), std::nullopt);
    }
  }
}

}  // namespace
}  // namespace contactd::domain
