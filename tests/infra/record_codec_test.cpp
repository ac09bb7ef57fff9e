#include "infra/record_codec.hpp"

#include <gtest/gtest.h>

#include "projections/event_chain.hpp"
#include "tests/projections/log_builder.hpp"
#include "tests/projections/tables.hpp"

namespace contactd::infra {
namespace {

using namespace contactd::test;
using domain::RecordedEvent;

std::string reason_of(std::string_view bytes) {
  const auto decoded = decode_record(bytes);
  const auto* unreadable = std::get_if<UnreadableRecord>(&decoded);
  return unreadable == nullptr ? "it was read" : unreadable->reason;
}

RecordedEvent sample() {
  return {domain::EventId::from(0x017F22E279B0, {~0ULL, ~0ULL}),
          noon,
          org("acme"),
          "key1",
          "request \"1\"",
          domain::IdempotencyStamp{digest(0xab), digest(0xcd)},
          {258, 3},
          domain::ContactDeleted{contact_id("ann"), 2}};
}

// Frozen: the embedded log keeps these bytes for ever.
TEST(RecordCodec, HasTheseBytes) {
  const auto repeated = [](const std::string& piece) {
    std::string out;
    for (int i = 0; i < 32; ++i) out += piece;
    return out;
  };
  EXPECT_EQ(printable(encode_record(sample())),
            "\\x01\\x01\\x7f\"\\xe2y\\xb0\\x7f\\xff\\xbf\\xff\\xff\\xff\\xff\\xff\\xff\\xff"
            "\\x00\\x00\\x01\\x98\\x0d\\xa2X@"
            "\\x00\\x00\\x00\\x00\\x00\\x00\\x01\\x02\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x03"
            "\\x00\\x00\\x00\\x1bcontactd.contact.deleted.v1"
            "\\x00\\x00\\x00\\x04acme\\x00\\x00\\x00\\x04key1\\x00\\x00\\x00\\x0brequest \"1\""
            "\\x01" +
                repeated("\\xab") + repeated("\\xcd") +
                "\\x00\\x00\\x001{\"contact_id\":\"ann00000000000000000\",\"version\":2}");
}

// Frozen too: what an event has in front that carries the hash of its chain.
TEST(RecordCodec, HasTheChainHashInFront) {
  RecordedEvent event = sample();
  event.chain_hash = digest(0x5a);
  const std::string canonical = encode_record(sample());
  const std::string record = encode_record(event);
  EXPECT_EQ(record, '\x02' + std::string(32, '\x5a') + canonical);
  EXPECT_EQ(record, record_prefix(event) + projections::canonical_bytes(event));
  EXPECT_EQ(canonical_part(record), canonical);
  EXPECT_EQ(canonical_part(canonical), canonical);
  const auto read = decode_record(record);
  ASSERT_TRUE(std::holds_alternative<RecordedEvent>(read)) << reason_of(record);
  EXPECT_EQ(std::get<RecordedEvent>(read), event);
  for (std::size_t length = 0; length < record.size(); ++length) {
    EXPECT_NE(reason_of(record.substr(0, length)), "it was read") << length;
  }
}

TEST(RecordCodec, ReadsBackWhateverIsRecorded) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  RandomLog source{random};
  source.run(400);
  for (const RecordedEvent& event : source.log()) {
    const std::string bytes = encode_record(event);
    const auto read = decode_record(bytes);
    ASSERT_TRUE(std::holds_alternative<RecordedEvent>(read)) << reason_of(bytes);
    ASSERT_TRUE(std::get<RecordedEvent>(read) == event);
    ASSERT_EQ(encode_record(std::get<RecordedEvent>(read)), bytes);
  }
}

TEST(RecordCodec, RefusesARecordCutAnywhereOrTooLong) {
  const std::string whole = encode_record(sample());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_NE(reason_of(whole.substr(0, length)), "it was read") << length;
  }
  EXPECT_NE(reason_of(whole + '\0'), "it was read");
}

TEST(RecordCodec, SaysWhatItDoesNotKnow) {
  std::string format = encode_record(sample());
  for (const char unknown : {'\x00', '\x02', '\x03'}) {
    format[0] = unknown;
    EXPECT_NE(reason_of(format).find("format"), std::string::npos);
  }
  std::string type = encode_record(sample());
  type.replace(type.find("deleted.v1"), 10, "deleted.v2");
  EXPECT_NE(reason_of(type).find("contactd.contact.deleted.v2"), std::string::npos);
  std::string organization = encode_record(sample());
  organization.replace(organization.find("acme"), 4, "ac/e");
  EXPECT_NE(reason_of(organization).find("organization"), std::string::npos);
  std::string flag = encode_record(sample());
  flag[flag.find("\"1\"") + 3] = 2;
  EXPECT_NE(reason_of(flag), "it was read");
}

TEST(RecordCodec, NeverCrashesOnADamagedRecord) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  RandomLog source{random};
  source.run(60);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = encode_record(random.pick(source.log()));
    for (std::size_t flips = 1 + random.below(3); flips > 0; --flips) {
      bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
    }
    const auto read = decode_record(bytes);
    if (const auto* event = std::get_if<RecordedEvent>(&read)) {
      const auto again = decode_record(encode_record(*event));
      ASSERT_TRUE(std::holds_alternative<RecordedEvent>(again));
      ASSERT_TRUE(std::get<RecordedEvent>(again) == *event);
    }
  }
}

}  // namespace
}  // namespace contactd::infra
