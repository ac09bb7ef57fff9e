#include <gtest/gtest.h>

#include "domain/event_codec.hpp"
#include "projections/api_key_record.hpp"
#include "projections/binary.hpp"
#include "projections/checkpoint.hpp"
#include "projections/history.hpp"
#include "projections/idempotency.hpp"
#include "projections/webhook_record.hpp"
#include "tests/projections/log_builder.hpp"
#include "tests/projections/tables.hpp"

namespace contactd::projections {
namespace {

using namespace contactd::test;
using domain::Field;

// Every cut of `record` must be refused.
template <class Read>
void expect_cuts_refused(const std::string& record, const Read& read) {
  for (std::size_t length = 0; length < record.size(); ++length) {
    EXPECT_THROW(read(record.substr(0, length)), CorruptRecord) << length;
  }
}

TEST(CheckpointRecord, ReadsBackAndHasTheseBytes) {
  const Checkpoint checkpoint{258, 1, 2, {3}, {digest(0x61), 4, 5}};
  const std::string record = encode(checkpoint);
  EXPECT_EQ(read_checkpoint(record), checkpoint);
  EXPECT_EQ(printable(record),
            "\\x00\\x00\\x00\\x00\\x00\\x00\\x01\\x02\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01"
            "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x03" +
                std::string(32, 'a') +
                "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x04"
                "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x05")
      << other_layout;
  expect_cuts_refused(record, [](const std::string& cut) { return read_checkpoint(cut); });
}

TEST(ApiKeyRecord, ReadsBack) {
  domain::ApiKey key{"k1", org("acme"), "the \"ci\" 漢", {domain::Scope::write}, digest(7),
                     noon, {}};
  EXPECT_EQ(read_api_key("k1", encode(key)), key);
  key.revoked_at = after(1);
  key.scopes.contacts = domain::Scope::none;
  key.scopes.webhooks = domain::Scope::read;
  EXPECT_EQ(read_api_key("k1", encode(key)), key);
  expect_cuts_refused(encode(key), [](const std::string& cut) { return read_api_key("k1", cut); });
}

TEST(ApiKeyRecord, RefusesWhatItDoesNotKnow) {
  const domain::ApiKey key{"k1", org("a"), "n", {domain::Scope::read}, digest(7), noon, {}};
  std::string format = encode(key);
  format[0] = 9;
  std::string organization = encode(key);
  organization[5] = '/';
  std::string scope = encode(key);
  scope[11] = 3;
  std::string webhooks = encode(key);
  webhooks[12] = 3;
  EXPECT_THROW(read_api_key("k1", format), CorruptRecord);
  EXPECT_THROW(read_api_key("k1", organization), CorruptRecord);
  EXPECT_THROW(read_api_key("k1", scope), CorruptRecord);
  EXPECT_THROW(read_api_key("k1", webhooks), CorruptRecord);
}

TEST(WebhookRecord, ReadsBack) {
  domain::Webhook webhook;
  webhook.id = "Wh00000000000000000A";
  webhook.organization = org("acme");
  webhook.settings = {"https://x.io/h", "the \"crm\" 漢", {"a", "b"}, false};
  webhook.disabled_reason = "gone";
  webhook.created_at = noon;
  webhook.updated_at = after(1);
  webhook.generation = 3;
  webhook.master = 258;
  webhook.master_before = ~0ULL;
  webhook.rotated_at = after(2);
  webhook.next_offset = 77;
  webhook.pending = {3, 70};
  const std::string key = keys::webhook(webhook.organization, webhook.id);
  const auto read = [&](const std::string& row) { return read_webhook(key, row); };
  EXPECT_EQ(read(encode(webhook)), webhook);
  expect_cuts_refused(encode(webhook), read);
  webhook.rotated_at.reset();
  webhook.pending.clear();
  EXPECT_EQ(read(encode(webhook)), webhook);
  std::string format = encode(webhook);
  format[0] = 9;
  EXPECT_THROW(read(format), CorruptRecord);
  EXPECT_THROW(read_webhook("Wh1", encode(webhook)), CorruptRecord);
}

TEST(HistoryRecord, ReadsBack) {
  LogBuilder builder;
  builder.then(created(ann, "ann@x.io"));
  const domain::RecordedEvent& event = builder.log.back();
  const auto& changes = std::get<domain::ContactCreated>(event.event).changes;
  const std::string row = encode_history(HistoryEntry::Kind::created, event, &changes);
  const HistoryEntry entry = read_history(row);
  EXPECT_EQ(entry.kind, HistoryEntry::Kind::created);
  EXPECT_EQ(entry.event, event.id);
  EXPECT_EQ(entry.time, noon);
  EXPECT_EQ(entry.actor, "key1");
  EXPECT_EQ(entry.request_id, "request1");
  EXPECT_EQ(entry.changes, R"({"email":{"old":null,"new":"ann@x.io"},)"
                           R"("status":{"old":null,"new":"active"}})");
  EXPECT_EQ(read_history(encode_history(HistoryEntry::Kind::deleted, event, nullptr)).changes, "");
  expect_cuts_refused(row, [](const std::string& cut) { return read_history(cut); });
}

TEST(HistoryRecord, RefusesWhatItDoesNotKnow) {
  LogBuilder builder;
  std::string row = encode_history(HistoryEntry::Kind::updated, builder.log.back(), nullptr);
  for (const int kind : {0, 4, 255}) {
    row[1] = static_cast<char>(kind);
    EXPECT_THROW(read_history(row), CorruptRecord);
  }
  row[1] = 1;
  row[0] = 2;
  EXPECT_THROW(read_history(row), CorruptRecord);
}

void expect_round_trip(const IdempotencyRecord& record) {
  const std::string bytes = encode(record);
  const IdempotencyRecord read = read_idempotency(bytes);
  EXPECT_EQ(read.request, record.request);
  EXPECT_EQ(read.time, record.time);
  EXPECT_EQ(read.answer.index(), record.answer.index());
  EXPECT_EQ(encode(read), bytes);
  expect_cuts_refused(bytes, [](const std::string& cut) { return read_idempotency(cut); });
}

TEST(IdempotencyRecord, ReadsBackEveryAnswer) {
  using domain::Rejection;
  const std::vector<decltype(IdempotencyRecord::answer)> answers = {
      ContactAnswer{true, 1, R"({"id":"x"})"},
      ContactAnswer{false, ~0ULL, ""},
      DeletedAnswer{ann},
      Rejection{domain::ContactNotFound{}},
      Rejection{domain::EmailTaken{ann}},
      Rejection{domain::VersionMismatch{3, {Field::tags}}},
      Rejection{domain::ApiKeyNotFound{}},
      Rejection{domain::VersionNotFound{9}},
  };
  for (const auto& answer : answers) expect_round_trip({digest(3), noon, answer});
}

TEST(IdempotencyRecord, RefusesWhatItDoesNotKnow) {
  const std::string whole = encode({digest(3), noon, DeletedAnswer{ann}});
  std::string format = whole;
  format[0] = 0;
  std::string kind = whole;
  kind[41] = 5;
  std::string contact = whole;
  contact.back() = '-';
  std::string rejection = encode({digest(3), noon, domain::Rejection{domain::ContactNotFound{}}});
  rejection.back() = ']';
  for (const std::string& record : {format, kind, contact, rejection}) {
    EXPECT_THROW(read_idempotency(record), CorruptRecord);
  }
}

TEST(IdempotencyRecord, ExpiresAfterADay) {
  const IdempotencyRecord record{digest(3), noon, DeletedAnswer{ann}};
  EXPECT_FALSE(record.expired(noon));
  EXPECT_FALSE(record.expired(after(day_ms - 1)));
  EXPECT_TRUE(record.expired(after(day_ms)));
}

}  // namespace
}  // namespace contactd::projections
