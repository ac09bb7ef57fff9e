#include "infra/random.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/domain/samples.hpp"

namespace contactd::infra {
namespace {

using namespace contactd::test;

TEST(EqualInConstantTime, ComparesEveryByte) {
  const domain::Digest all = digest(7);
  EXPECT_TRUE(equal_in_constant_time(all, digest(7)));
  for (std::size_t at = 0; at < all.size(); ++at) {
    domain::Digest other = all;
    other[at] ^= 1U;
    EXPECT_FALSE(equal_in_constant_time(all, other)) << at;
  }
}

TEST(Random, NeverGivesTheSameTwice) {
  std::set<std::string> seen;
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_TRUE(seen.insert(new_contact_id().str()).second);
    EXPECT_TRUE(seen.insert(new_event_id(noon).str()).second);
    EXPECT_TRUE(seen.insert(new_request_id()).second);
    EXPECT_TRUE(seen.insert(random_text(22)).second);
  }
}

TEST(Random, KeepsToItsAlphabets) {
  EXPECT_EQ(new_request_id().find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(new_request_id().size(), 32U);
  EXPECT_EQ(new_event_id(noon).str().substr(0, 14),
            domain::EventId::from(noon.unix_ms, {0, 0}).str().substr(0, 14));
  for (const std::size_t length : {0U, 1U, 9U, 10U, 11U, 43U}) {
    const std::string text = random_text(length);
    EXPECT_EQ(text.size(), length);
    for (const char c : text) {
      EXPECT_TRUE(std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-');
    }
  }
}

}  // namespace
}  // namespace contactd::infra
