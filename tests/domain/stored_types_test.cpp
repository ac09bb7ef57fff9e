#include "domain/stored_types.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "domain/event_codec.hpp"

namespace contactd::domain {
namespace {

void up(boost::json::object&) {}

TEST(StoredTypes, HaveAVersion) {
  EXPECT_EQ(family_of("contactd.contact.created.v1"), "contactd.contact.created.");
  EXPECT_EQ(version_of("contactd.contact.created.v1"), 1U);
  EXPECT_EQ(version_of("x.v12"), 12U);
  for (const char* none : {"x", "x.v", "x.v0", "x.v01", "x.v1a", "x.1", ""}) {
    EXPECT_EQ(version_of(none), 0U) << none;
  }
}

TEST(StoredTypes, MustLeadFromEachVersionToTheNewest) {
  struct Row {
    const char* what;
    std::vector<StoredType> types;
    std::string_view gap;
  };
  const std::vector<Row> rows = {
      {"none", {}, {}},
      {"single ones", {{"a.v1"}, {"b.v1"}}, {}},
      {"two versions", {{"a.v1", up}, {"a.v2"}, {"b.v1"}}, {}},
      {"three versions", {{"b.v1"}, {"a.v1", up}, {"a.v2", up}, {"a.v3"}}, {}},
      {"no way to the next", {{"a.v1"}, {"a.v2"}}, "a.v1"},
      {"no way in the middle", {{"a.v1", up}, {"a.v2"}, {"a.v3"}}, "a.v2"},
      {"a way to nothing", {{"a.v1", up}}, "a.v1"},
      {"a way to nothing before another type", {{"a.v1", up}, {"b.v1"}}, "a.v1"},
      {"the first one is missing", {{"a.v2"}}, "a.v2"},
      {"one is left out", {{"a.v1", up}, {"a.v3"}}, "a.v3"},
      {"the wrong order", {{"a.v2", up}, {"a.v1"}}, "a.v2"},
      {"twice", {{"a.v1", up}, {"a.v1"}}, "a.v1"},
      {"in two places", {{"a.v1"}, {"b.v1"}, {"a.v1"}}, "a.v1"},
      {"no version", {{"a"}}, "a"},
  };
  for (const Row& row : rows) EXPECT_EQ(gap_in(row.types), row.gap) << row.what;
}

TEST(StoredTypes, AreReadInEveryVersion) {
  const auto read = [](std::string_view type, std::string_view data) {
    const auto decoded = decode_data(type, data);
    const auto* event = std::get_if<Event>(&decoded);
    return event == nullptr ? Event{} : *event;
  };
  EXPECT_EQ(read("contactd.writer.claimed.v1", R"({"writer":"w"})"), Event{WriterClaimed{"w"}});
  EXPECT_EQ(read("contactd.writer.claimed.v2", R"({"writer":"w","partitions":4})"),
            (Event{WriterClaimed{"w", 4}}));
}

// What an older version becomes on its way up is no form of its own that may be stored.
TEST(StoredTypes, AreNotStoredHalfWay) {
  const auto decoded =
      decode_data("contactd.writer.claimed.v2", R"({"writer":"w","partitions":null})");
  EXPECT_TRUE(std::holds_alternative<Undecodable>(decoded));
}

}  // namespace
}  // namespace contactd::domain
