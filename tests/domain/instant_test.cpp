#include "domain/instant.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "tests/domain/samples.hpp"

namespace contactd::domain {
namespace {

using namespace contactd::test;

TEST(Instant, WritesUtcMillisecondsAndZ) {
  const std::vector<std::pair<std::int64_t, std::string>> rows = {
      {0, "1970-01-01T00:00:00.000Z"},
      {1, "1970-01-01T00:00:00.001Z"},
      {-1, "1969-12-31T23:59:59.999Z"},
      {1'752'575'400'000, "2025-07-15T10:30:00.000Z"},
      {951'782'400'000, "2000-02-29T00:00:00.000Z"},
      {-62'167'219'200'000, "0000-01-01T00:00:00.000Z"},
      {253'402'300'799'999, "9999-12-31T23:59:59.999Z"},
  };
  for (const auto& [ms, text] : rows) {
    EXPECT_EQ(to_iso8601({ms}), text);
    EXPECT_EQ(parse_iso8601(text), Instant{ms});
  }
}

TEST(Instant, AppendsToWhatIsThere) {
  std::string out = "at ";
  append_iso8601(out, {0});
  EXPECT_EQ(out, "at 1970-01-01T00:00:00.000Z");
}

TEST(Instant, ReadsTheFormsOfRfc3339) {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"2025-07-15", "2025-07-15T00:00:00.000Z"},
      {"2025-07-15T10:30:00Z", "2025-07-15T10:30:00.000Z"},
      {"2025-07-15T10:30:00.5Z", "2025-07-15T10:30:00.500Z"},
      {"2025-07-15T10:30:00.05Z", "2025-07-15T10:30:00.050Z"},
      {"2025-07-15T10:30:00.123999999Z", "2025-07-15T10:30:00.123Z"},
      {"2025-07-15T10:30:00+00:00", "2025-07-15T10:30:00.000Z"},
      {"2025-07-15T10:30:00-00:00", "2025-07-15T10:30:00.000Z"},
      {"2025-07-15T10:30:00+02:00", "2025-07-15T08:30:00.000Z"},
      {"2025-07-15T10:30:00.25-05:30", "2025-07-15T16:00:00.250Z"},
      {"2025-01-01T00:00:00+23:59", "2024-12-31T00:01:00.000Z"},
      {"2024-02-29T12:00:00Z", "2024-02-29T12:00:00.000Z"},
      {"2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"},
      {"2025-07-15t10:30:00z", "2025-07-15T10:30:00.000Z"},
      {"9999-12-31T23:59:59+00:01", "9999-12-31T23:58:59.000Z"},
  };
  for (const auto& [text, reads] : rows) {
    const auto instant = parse_iso8601(text);
    EXPECT_EQ(instant ? to_iso8601(*instant) : "nothing", reads) << text;
  }
}

TEST(Instant, RefusesEverythingElse) {
  const std::vector<std::string> texts = {"",
                                          "9999-12-31T23:59:59-01:00",  // after what can be written
                                          "9999-12-31T23:59:60Z",
                                          "0000-01-01T00:00:00+00:01",  // before it
                                          "now",
                                          "1752575400000",
                                          "2025",
                                          "2025-07",
                                          "2025-7-15",
                                          "25-07-15",
                                          "2025/07/15",
                                          "2025-07-15T",
                                          "2025-07-15T10",
                                          "2025-07-15T10:30",
                                          "2025-07-15T10:30Z",
                                          "2025-07-15T10:30:00",
                                          "2025-07-15 10:30:00Z",
                                          "2025-07-15T10:30:00.Z",
                                          "2025-07-15T10:30:00,5Z",
                                          "2025-07-15T10:30:00Z ",
                                          " 2025-07-15T10:30:00Z",
                                          "2025-07-15T10:30:00ZZ",
                                          "2025-07-15T10:30:00+0200",
                                          "2025-07-15T10:30:00+02",
                                          "2025-07-15T10:30:00+24:00",
                                          "2025-07-15T10:30:00+00:60",
                                          "2025-07-15T10:30:00 02:00",
                                          "2025-00-15",
                                          "2025-13-01",
                                          "2025-02-29",
                                          "2025-04-31",
                                          "2025-07-00",
                                          "2025-07-15T24:00:00Z",
                                          "2025-07-15T10:60:00Z",
                                          "2025-07-15T10:30:61Z",
                                          "+025-07-15",
                                          "-025-07-15",
                                          "2025-07-15T-1:30:00Z",
                                          "2025-07-15T10:30:00+-2:00",
                                          std::string("2025-07-15\0", 11),
                                          "２０２５-07-15"};
  for (const std::string& text : texts) {
    EXPECT_EQ(parse_iso8601(text), std::nullopt) << '"' << text << '"';
  }
}

TEST(Instant, ReadsBackWhatItWrites) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  constexpr std::int64_t first = -62'167'219'200'000;
  constexpr std::uint64_t span = 253'402'300'800'000 + 62'167'219'200'000;
  for (int i = 0; i < 5'000; ++i) {
    const Instant instant{first + static_cast<std::int64_t>(random.bits() % span)};
    ASSERT_EQ(to_iso8601(instant).size(), 24U);
    ASSERT_EQ(parse_iso8601(to_iso8601(instant)), instant);
  }
}

}  // namespace
}  // namespace contactd::domain
