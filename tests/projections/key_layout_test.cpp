#include "projections/key_layout.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "projections/binary.hpp"
#include "tests/domain/samples.hpp"
#include "tests/projections/tables.hpp"

namespace contactd::projections {
namespace {

using namespace contactd::test;

// Frozen (other_layout says how that is changed).
TEST(KeyLayout, HasTheseBytes) {
  const std::string digest_hex = [] {
    std::string out;
    for (int i = 0; i < 32; ++i) out += "\\xab";
    return out;
  }();
  const std::vector<std::pair<std::string, std::string>> rows = {
      {keys::organization(org("acme")), "acme\\x00"},
      {keys::contact(org("acme"), ann), "acme\\x00ann00000000000000000"},
      {keys::email(org("acme"), "ann@x.io"), "acme\\x00ann@x.io"},
      {keys::history(org("acme"), ann, 258),
       "acme\\x00ann00000000000000000\\x00\\x00\\x00\\x00\\x00\\x00\\x01\\x02"},
      {keys::snapshot(org("acme"), ann, 64),
       "acme\\x00ann00000000000000000\\x00\\x00\\x00\\x00\\x00\\x00\\x00@"},
      {keys::by_update(org("acme"), {1'752'575'400'000}, 65),
       "acme\\x00\\x00\\x00\\x01\\x98\\x0d\\xa2X@\\x00\\x00\\x00\\x00\\x00\\x00\\x00A"},
      {keys::tag(org("acme"), "vip", ann), "acme\\x00vip\\x00ann00000000000000000"},
      {keys::tag_prefix(org("acme"), ""), "acme\\x00\\x00"},
      {keys::counts(org("acme")), "acme\\x00"},
      {keys::feed(org("acme"), 65), "acme\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00A"},
      {keys::webhook(org("acme"), "Wh1"), "acme\\x00Wh1"},
      {keys::idempotency(1, 20'284, digest(0xab)), "\\x00\\x00\\x00\\x01\\x00\\x00O<" + digest_hex},
      {keys::idempotency_day(1, 20'284), "\\x00\\x00\\x00\\x01\\x00\\x00O<"},
      {keys::checkpoint(3), "checkpoint\\x00\\x00\\x00\\x03"},
      {std::string{keys::format}, "format"},
  };
  EXPECT_EQ(format_version, 3U);
  for (const auto& [key, bytes] : rows) EXPECT_EQ(printable(key), bytes) << other_layout;
}

TEST(KeyLayout, NamesItsTables) {
  const std::vector<std::string> names = {
      "meta",        "contacts", "emails",    "history",     "by_update", "tags",    "counts",
      "idempotency", "api_keys", "snapshots", "by_creation", "feed",      "webhooks"};
  ASSERT_EQ(names.size(), table_count);
  for (std::size_t i = 0; i < table_count; ++i) {
    EXPECT_EQ(name_of(static_cast<Table>(i)), names[i]);
  }
}

// Any key of one organization, of every table that has such.
std::vector<std::string> keys_of(const domain::OrganizationId& of, Random& random) {
  const auto id =
      domain::ContactId::from_random({random.bits(), random.bits(), random.bits(), random.bits()});
  return {keys::contact(of, id),
          keys::email(of, "ann@x.io"),
          keys::history(of, id, random.bits()),
          keys::snapshot(of, id, random.bits()),
          keys::by_creation(of, {static_cast<std::int64_t>(random.bits())}, random.bits()),
          keys::by_update(of, {static_cast<std::int64_t>(random.bits())}, random.bits()),
          keys::tag(of, random.text(3), id),
          keys::counts(of),
          keys::feed(of, random.bits()),
          keys::webhook(of, id.view())};
}

TEST(KeyLayout, NoOrganizationsPrefixCoversAnothers) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  const std::vector<std::string> names = {"a",
                                          "ab",
                                          "abc",
                                          "A",
                                          "a-",
                                          "a_",
                                          "a0",
                                          "b",
                                          "-",
                                          "_",
                                          "0",
                                          "aa",
                                          std::string(64, 'a'),
                                          std::string(63, 'a')};
  for (const std::string& one : names) {
    const std::string prefix = keys::organization(org(one));
    for (const std::string& other : names) {
      for (const std::string& key : keys_of(org(other), random)) {
        EXPECT_EQ(key.starts_with(prefix), one == other) << one << ' ' << other;
      }
    }
  }
}

TEST(KeyLayout, NoTagsPrefixCoversAnothers) {
  const std::vector<std::string> names = {"", "a", "ab", "b", " ", "é", "\x01", "漢"};
  for (const std::string& one : names) {
    for (const std::string& other : names) {
      const std::string key = keys::tag(org("acme"), other, ann);
      EXPECT_EQ(key.starts_with(keys::tag_prefix(org("acme"), one)), one == other);
      EXPECT_EQ(keys::tagged_contact(key), ann);
    }
  }
}

TEST(KeyLayout, NumbersSortAsTheyCount) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  for (int i = 0; i < 5'000; ++i) {
    const auto number = [&] { return random.bits() >> random.below(64); };
    const std::uint64_t a = number();
    const std::uint64_t b = number();
    const domain::Instant early{static_cast<std::int64_t>(number() >> 1U)};
    const domain::Instant late{static_cast<std::int64_t>(number() >> 1U)};
    ASSERT_EQ(keys::history(org("a"), ann, a) < keys::history(org("a"), ann, b), a < b);
    ASSERT_EQ(keys::feed(org("a"), a) < keys::feed(org("a"), b), a < b);
    ASSERT_EQ(keys::feed_offset(keys::feed(org("a"), a)), a);
    ASSERT_EQ(keys::history_position(keys::history(org("a"), ann, a)).version, a);
    ASSERT_EQ(keys::by_update(org("a"), early, a) < keys::by_update(org("a"), late, b),
              std::pair(early, a) < std::pair(late, b));
    ASSERT_EQ(keys::update_position(keys::by_update(org("a"), early, a)),
              (keys::UpdatePosition{early, a}));
  }
}

TEST(KeyLayout, CountsDaysFrom1970) {
  EXPECT_EQ(keys::day_of({0}), 0U);
  EXPECT_EQ(keys::day_of({day_ms - 1}), 0U);
  EXPECT_EQ(keys::day_of({day_ms}), 1U);
  EXPECT_EQ(keys::day_of(noon), 20'284U);
}

TEST(KeyLayout, KnowsHowAKeyBegins) {
  const std::string acme = keys::organization(org("acme"));
  EXPECT_EQ(keys::contact_part(keys::history(org("acme"), ann, 7)),
            keys::contact(org("acme"), ann));
  EXPECT_EQ(keys::organization_part(keys::by_update(org("acme"), noon, 7)), acme);
  EXPECT_EQ(keys::feed_organization_part(keys::feed(org("acme"), 7)), acme);
  EXPECT_EQ(keys::contact_part("1234567"), "");
  EXPECT_EQ(keys::organization_part("123456789012345"), "");
  EXPECT_EQ(keys::feed_organization_part("1234567"), "");
}

TEST(KeyLayout, RefusesKeysThatAreTooShort) {
  EXPECT_THROW(keys::update_position("123456789012345"), CorruptRecord);
  EXPECT_THROW(keys::history_position(std::string(27, 'a')), CorruptRecord);
  EXPECT_THROW(keys::history_position(std::string(28, '\0')), CorruptRecord);
  EXPECT_THROW(keys::tagged_contact("short"), CorruptRecord);
  EXPECT_THROW(keys::feed_offset("1234567"), CorruptRecord);
  EXPECT_THROW(keys::tagged_contact(std::string(20, '\0')), CorruptRecord);
}

TEST(Binary, VarintsReadBack) {
  const std::vector<std::pair<std::uint64_t, std::string>> rows = {
      {0, "\\x00"},
      {127, "\\x7f"},
      {128, "\\x80\\x01"},
      {300, "\\xac\\x02"},
      {~0ULL, "\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x01"}};
  for (const auto& [number, bytes] : rows) {
    std::string out;
    append_varint(out, number);
    EXPECT_EQ(printable(out), bytes);
    EXPECT_EQ(BinaryReader{out}.varint(), number);
    out.pop_back();
    EXPECT_THROW(BinaryReader{out}.varint(), CorruptRecord);
  }
  EXPECT_THROW(BinaryReader{std::string(11, '\xff')}.varint(), CorruptRecord);
}

}  // namespace
}  // namespace contactd::projections
