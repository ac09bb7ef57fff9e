#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "projections/api_key_record.hpp"
#include "projections/fold.hpp"
#include "projections/idempotency.hpp"
#include "tests/projections/log_builder.hpp"
#include "tests/projections/tables.hpp"

// What the fold keeps beside the contacts: idempotency records and API keys.
namespace contactd::projections {
namespace {

using namespace contactd::test;
using domain::ContactUpdated;
using domain::Field;

std::optional<IdempotencyRecord> record_in(const Tables& tables, std::uint8_t key,
                                           domain::Instant time = noon,
                                           std::uint32_t partition = 0) {
  const auto bytes =
      tables.get(Table::idempotency, keys::idempotency(partition, keys::day_of(time), digest(key)));
  if (!bytes) return std::nullopt;
  return read_idempotency(*bytes);
}

TEST(FoldIdempotency, KeepsTheWholeAnswer) {
  LogBuilder builder;
  builder.with_key(1, 11).then(created(ann, "ann@x.io"));
  builder.at(after(1)).with_key(2, 12);
  builder.then(ContactUpdated{ann, 2, {first(Field::company, "Acme")}});
  builder.with_key(3).then(domain::RequestAnswered{ann});
  builder.with_key(4).then(domain::RequestAnswered{domain::EmailTaken{bob}});
  builder.with_key(5).then(domain::ContactDeleted{ann, 3});
  Tables tables;
  const auto results = fold_rest(tables, builder.log);
  ASSERT_EQ(tables[Table::idempotency].size(), 5U);

  const auto of_created = record_in(tables, 1);
  EXPECT_EQ(of_created->request, digest(11));
  EXPECT_EQ(of_created->time, noon);
  const auto& first_answer = std::get<ContactAnswer>(of_created->answer);
  EXPECT_TRUE(first_answer.created);
  EXPECT_EQ(first_answer.version, 1U);
  EXPECT_EQ(first_answer.json, results[1].contact->json());

  const auto of_updated = record_in(tables, 2);
  EXPECT_EQ(of_updated->request, digest(12));
  EXPECT_EQ(of_updated->time, after(1));
  const auto& second_answer = std::get<ContactAnswer>(of_updated->answer);
  EXPECT_FALSE(second_answer.created);
  EXPECT_EQ(second_answer.version, 2U);
  EXPECT_EQ(second_answer.json, results[2].contact->json());

  const auto unchanged = std::get<ContactAnswer>(record_in(tables, 3)->answer);
  EXPECT_EQ(unchanged.version, 2U);
  EXPECT_EQ(unchanged.json, second_answer.json);
  EXPECT_EQ(std::get<domain::Rejection>(record_in(tables, 4)->answer),
            domain::Rejection{domain::EmailTaken{bob}});
  EXPECT_EQ(std::get<DeletedAnswer>(record_in(tables, 5)->answer).contact, ann);
}

TEST(FoldIdempotency, KeepsNoAnswerWithoutAKey) {
  LogBuilder builder;
  builder.then(created(ann)).then(domain::RequestAnswered{ann});
  Tables tables;
  fold_rest(tables, builder.log);
  EXPECT_TRUE(tables[Table::idempotency].empty());
}

TEST(FoldIdempotency, RemovesOnANewDayWhatIsOlderThanYesterday) {
  LogBuilder builder;
  builder.with_key(1).then(created(ann)).at(after(day_ms)).with_key(2);
  builder.then(domain::RequestAnswered{ann}).at(after(2 * day_ms)).with_key(3);
  builder.then(domain::RequestAnswered{ann}).at(after(9 * day_ms)).claim();
  Tables tables;
  // Another partition's records are its own.
  tables[Table::idempotency][keys::idempotency(1, 0, digest(9))] = "kept";
  fold_some(tables, builder.log, 3);
  EXPECT_TRUE(record_in(tables, 1).has_value());
  EXPECT_TRUE(record_in(tables, 2, after(day_ms)).has_value());
  fold_some(tables, builder.log, 1);
  EXPECT_FALSE(record_in(tables, 1).has_value());
  EXPECT_TRUE(record_in(tables, 2, after(day_ms)).has_value());
  EXPECT_TRUE(record_in(tables, 3, after(2 * day_ms)).has_value());
  fold_rest(tables, builder.log);
  EXPECT_EQ(tables[Table::idempotency].size(), 1U);
}

TEST(FoldIdempotency, BelongsToItsPartition) {
  LogBuilder builder;
  builder.with_key(1).then(created(ann));
  Tables tables;
  fold_some(tables, builder.log, 2, 7);
  EXPECT_TRUE(record_in(tables, 1, noon, 7).has_value());
  EXPECT_FALSE(record_in(tables, 1, noon, 0).has_value());
  EXPECT_EQ(tables.checkpoint(7).next_offset, 2U);
  EXPECT_EQ(tables.checkpoint(0).next_offset, 0U);
}

domain::ApiKey key_in(const Tables& tables, const std::string& id) {
  return read_api_key(id, tables[Table::api_keys].at(id));
}

TEST(FoldApiKeys, StayListedAfterTheyWereRevoked) {
  LogBuilder builder;
  builder.then(domain::ApiKeyCreated{"k1", "ci", {domain::Scope::write}, digest(7)});
  builder.then(domain::ApiKeyCreated{"k2", "cd", {domain::Scope::read}, digest(8)});
  builder.at(after(1)).then(domain::ApiKeyRevoked{"k1"});
  builder.at(after(2)).then(domain::ApiKeyRevoked{"k1"});
  for (const std::size_t first_batch : {0U, 2U, 4U}) {
    SCOPED_TRACE(first_batch);
    Tables tables;
    fold_some(tables, builder.log, first_batch);
    fold_rest(tables, builder.log);
    EXPECT_EQ(key_in(tables, "k1"),
              (domain::ApiKey{
                  "k1", org("acme"), "ci", {domain::Scope::write}, digest(7), noon, after(1)}));
    EXPECT_EQ(
        key_in(tables, "k2"),
        (domain::ApiKey{"k2", org("acme"), "cd", {domain::Scope::read}, digest(8), noon, {}}));
  }
}

TEST(FoldApiKeys, EndNoLaterThanTheyDidOnceTheyAreReplaced) {
  struct Row {
    std::optional<domain::Instant> expires_at;
    domain::Instant replaced_ends_at;
    domain::Instant ends_at;
  };
  for (const Row& row : {Row{{}, after(9), after(9)}, Row{after(5), after(9), after(5)},
                         Row{after(9), after(5), after(5)}}) {
    LogBuilder builder;
    builder.then(
        domain::ApiKeyCreated{"k1", "ci", {domain::Scope::write}, digest(7), row.expires_at});
    builder.at(after(1)).then(
        domain::ApiKeyCreated{"k2",
                              "ci",
                              {domain::Scope::write},
                              digest(8),
                              after(20),
                              domain::ReplacedKey{"k1", row.replaced_ends_at}});
    for (const std::size_t first_batch : {0U, 2U}) {
      Tables tables;
      fold_some(tables, builder.log, first_batch);
      fold_rest(tables, builder.log);
      EXPECT_EQ(key_in(tables, "k1").expires_at, row.ends_at);
      EXPECT_TRUE(key_in(tables, "k1").holds_at(domain::Instant{row.ends_at.unix_ms - 1}));
      EXPECT_FALSE(key_in(tables, "k1").holds_at(row.ends_at));
      EXPECT_EQ(key_in(tables, "k2"), (domain::ApiKey{"k2",
                                                      org("acme"),
                                                      "ci",
                                                      {domain::Scope::write},
                                                      digest(8),
                                                      after(1),
                                                      {},
                                                      after(20),
                                                      "k1"}));
    }
  }
}

}  // namespace
}  // namespace contactd::projections
