#include "domain/ids.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "tests/domain/samples.hpp"

namespace contactd::domain {
namespace {

using namespace contactd::test;

TEST(ContactId, IsTwentyLettersAndDigits) {
  const auto id = ContactId::parse("abcXYZ0123456789abcd");
  ASSERT_TRUE(id.has_value());
  EXPECT_EQ(id->str(), "abcXYZ0123456789abcd");
  for (const char* text :
       {"", "abcXYZ0123456789abc", "abcXYZ0123456789abcde", "abcXYZ0123456789abc-",
        "abcXYZ0123456789abc ", "abcXYZ0123456789ab\xc3\xa9", "abcXYZ0123456789ab/."}) {
    EXPECT_FALSE(ContactId::parse(text).has_value()) << text;
  }
}

TEST(ContactId, ComesFromRandomBits) {
  EXPECT_EQ(ContactId::from_random({0, 0, 0, 0}).str(), std::string(20, 'A'));
  EXPECT_EQ(ContactId::from_random({1, 62, 0, 61}).str(), "BAAAAABAAAAAAAA9AAAA");
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  std::set<std::string> seen;
  for (int i = 0; i < 1'000; ++i) {
    const auto id =
        ContactId::from_random({random.bits(), random.bits(), random.bits(), random.bits()});
    ASSERT_EQ(ContactId::parse(id.view()), id);
    ASSERT_TRUE(seen.insert(id.str()).second);
  }
}

TEST(OrganizationId, IsOneToSixtyFourOfItsAlphabet) {
  for (const std::string& text :
       {std::string{"a"}, std::string{"Acme_2-x"}, std::string(64, 'z')}) {
    const auto id = OrganizationId::parse(text);
    ASSERT_TRUE(id.has_value()) << text;
    EXPECT_EQ(id->str(), text);
  }
  for (const std::string& text :
       {std::string{}, std::string(65, 'z'), std::string{"a b"}, std::string{"a/b"},
        std::string{"a.b"}, std::string{"ä"}, std::string("a\0b", 3)}) {
    EXPECT_FALSE(OrganizationId::parse(text).has_value()) << text;
  }
}

// Frozen: it says where in the log an organization's events are.
TEST(PartitionOf, IsTheSameInEveryRelease) {
  struct Row {
    std::string organization;
    std::array<std::uint32_t, 4> of;  // of 1, 3, 12 and 4,294,967,295 partitions
  };
  for (const auto& [organization, of] :
       {Row{"acme", {0, 2, 11, 4'229'673'362}}, Row{"a", {0, 1, 4, 895'863'001}},
        Row{"Zz-9_", {0, 2, 8, 3'702'326'693}}, Row{"demo", {0, 0, 6, 3'898'273'533}},
        Row{std::string(64, 'o'), {0, 0, 9, 4'284'681'978}}}) {
    const OrganizationId id = org(organization);
    EXPECT_EQ((std::array{partition_of(id, 1), partition_of(id, 3), partition_of(id, 12),
                          partition_of(id, 4'294'967'295)}),
              of)
        << organization;
  }
}

TEST(EventId, IsAUuidOfVersionSeven) {
  // RFC 9562, appendix A.6: the time of the example, and all random bits one.
  const EventId id = EventId::from(0x017F22E279B0, {~0ULL, ~0ULL});
  EXPECT_EQ(id.str(), "017f22e2-79b0-7fff-bfff-ffffffffffff");
  EXPECT_EQ(EventId::from(0, {0, 0}).str(), "00000000-0000-7000-8000-000000000000");
  EXPECT_EQ(EventId::parse(id.str()), id);
}

TEST(EventId, UsesEveryRandomBitThatItHasRoomFor) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  std::array<std::set<std::uint8_t>, 16> seen;
  for (int i = 0; i < 4'000; ++i) {
    const EventId id = EventId::from(0, {random.bits(), random.bits()});
    for (std::size_t at = 0; at < id.bytes.size(); ++at) seen[at].insert(id.bytes[at]);
  }
  EXPECT_EQ(seen[6].size(), 16U);
  EXPECT_EQ(seen[8].size(), 64U);
  for (const std::size_t at : {7U, 9U, 10U, 11U, 12U, 13U, 14U, 15U}) {
    EXPECT_EQ(seen[at].size(), 256U) << at;
  }
}

TEST(EventId, SortsByTime) {
  EXPECT_LT(EventId::from(1'752'575'400'000, {~0ULL, ~0ULL}).str(),
            EventId::from(1'752'575'400'001, {0, 0}).str());
}

TEST(EventId, ReadsOnlyTheCanonicalText) {
  for (const char* text :
       {"", "017f22e279b07fffbfffffffffffffff", "017F22E2-79B0-7FFF-BFFF-FFFFFFFFFFFF",
        "017f22e2-79b0-7fff-bfff-fffffffffff", "017f22e2-79b0-7fff-bfff-fffffffffffff",
        "017f22e27-9b0-7fff-bfff-ffffffffffff", "017f22e2-79b0-7fff-bfff-fffffffffffg",
        "{17f22e2-79b0-7fff-bfff-fffffffffff}"}) {
    EXPECT_FALSE(EventId::parse(text).has_value()) << text;
  }
}

TEST(Digest, IsHexadecimalAndBack) {
  Digest digest{};
  for (std::size_t i = 0; i < digest.size(); ++i) digest[i] = static_cast<std::uint8_t>(i * 8);
  const std::string text = to_hex(digest);
  EXPECT_EQ(text, "0008101820283038404850586068707880889098a0a8b0b8c0c8d0d8e0e8f0f8");
  EXPECT_EQ(digest_from_hex(text), digest);
  EXPECT_EQ(digest_from_hex(text.substr(1)), std::nullopt);
  EXPECT_EQ(digest_from_hex(text + "00"), std::nullopt);
  EXPECT_EQ(digest_from_hex("G" + text.substr(1)), std::nullopt);
}

}  // namespace
}  // namespace contactd::domain
