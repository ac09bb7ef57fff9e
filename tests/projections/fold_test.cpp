#include "projections/fold.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "projections/binary.hpp"
#include "projections/history.hpp"
#include "tests/projections/log_builder.hpp"
#include "tests/projections/tables.hpp"

namespace contactd::projections {
namespace {

using namespace contactd::test;
using domain::ContactDeleted;
using domain::ContactUpdated;
using domain::Field;
using domain::FieldValue;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

ContactUpdated updated(const domain::ContactId& id, domain::Version version,
                       std::vector<domain::FieldChange> changes) {
  return {id, version, std::move(changes)};
}

std::pair<std::uint64_t, std::uint64_t> counts_in(const Tables& tables, std::string_view of) {
  const auto counts = read_counts(tables.get(Table::counts, keys::counts(org(of))));
  return {counts.active, counts.inactive};
}

std::string list_key(domain::Instant at, std::uint64_t offset) {
  return keys::by_update(org("acme"), at, offset);
}

Checkpoint unchained(Checkpoint checkpoint) {
  checkpoint.chain = {};
  return checkpoint;
}

TEST(Fold, OfAClaimMovesOnlyTheCheckpoint) {
  LogBuilder builder;
  Tables tables;
  fold_rest(tables, builder.log);
  EXPECT_EQ(tables.lines().size(), 1U);
  EXPECT_EQ(unchained(tables.checkpoint(0)), (Checkpoint{1, 0, 1, noon}));
}

TEST(Fold, OfACreationWritesEveryTable) {
  LogBuilder builder;
  domain::ContactCreated event = created(ann, "ann@x.io");
  event.changes.push_back(first_tags({"vip", "a", "vip"}));
  builder.then(event);
  Tables tables;
  const auto results = fold_rest(tables, builder.log);

  ASSERT_NE(results[1].contact, nullptr);
  EXPECT_EQ(results[1].admission, Admission::current);
  EXPECT_THAT(tables[Table::contacts],
              ElementsAre(Pair(keys::contact(org("acme"), ann), results[1].contact->row)));
  EXPECT_THAT(tables[Table::emails],
              ElementsAre(Pair(keys::email(org("acme"), "ann@x.io"), ann.str())));
  EXPECT_THAT(tables[Table::by_update], ElementsAre(Pair(list_key(noon, 1), ann.str() + "a")));
  EXPECT_THAT(tables[Table::tags], ElementsAre(Pair(keys::tag(org("acme"), "a", ann), ""),
                                               Pair(keys::tag(org("acme"), "vip", ann), "")));
  EXPECT_EQ(counts_in(tables, "acme"), std::pair(1UL, 0UL));
  ASSERT_THAT(tables[Table::history],
              ElementsAre(Pair(keys::history(org("acme"), ann, 1), testing::_)));
  const HistoryEntry entry = read_history(tables[Table::history].begin()->second);
  EXPECT_EQ(entry.kind, HistoryEntry::Kind::created);
  EXPECT_EQ(entry.event, builder.log[1].id);
  EXPECT_THAT(tables[Table::idempotency], IsEmpty());
  EXPECT_THAT(tables[Table::api_keys], IsEmpty());
}

TEST(Fold, OfAnUpdateReplacesTheListEntryTheEmailAndTheTags) {
  LogBuilder builder;
  domain::ContactCreated event = created(ann, "ann@x.io");
  event.changes.push_back(first_tags({"a", "b"}));
  builder.then(event).at(after(3)).then(updated(
      ann, 2,
      {change(Field::email, "ann@x.io", "ann@y.io"), change(Field::status, "active", "inactive"),
       change(Field::tags, FieldValue::list({"a", "b"}), FieldValue::list({"b", "c"}))}));
  for (const bool one_batch : {true, false}) {
    SCOPED_TRACE(one_batch);
    Tables tables;
    if (!one_batch) fold_some(tables, builder.log, 2);
    const auto results = fold_rest(tables, builder.log);
    EXPECT_EQ(results.back().contact->contact.version, 2U);
    EXPECT_THAT(tables[Table::by_update],
                ElementsAre(Pair(list_key(after(3), 2), ann.str() + "i")));
    EXPECT_THAT(tables[Table::emails],
                ElementsAre(Pair(keys::email(org("acme"), "ann@y.io"), ann.str())));
    EXPECT_THAT(tables[Table::tags], ElementsAre(Pair(keys::tag(org("acme"), "b", ann), ""),
                                                 Pair(keys::tag(org("acme"), "c", ann), "")));
    EXPECT_EQ(counts_in(tables, "acme"), std::pair(0UL, 1UL));
    EXPECT_EQ(tables[Table::history].size(), 2U);
  }
}

TEST(Fold, OfAnUpdateLeavesAloneWhatItDoesNotName) {
  LogBuilder builder;
  domain::ContactCreated event = created(ann, "ann@x.io");
  event.changes.push_back(first_tags({"a"}));
  builder.then(event).then(updated(ann, 2, {first(Field::company, "Acme")}));
  Tables tables;
  fold_some(tables, builder.log, 2);
  const auto emails = tables[Table::emails];
  const auto tags = tables[Table::tags];
  const auto counts = tables[Table::counts];
  fold_rest(tables, builder.log);
  EXPECT_EQ(tables[Table::emails], emails);
  EXPECT_EQ(tables[Table::tags], tags);
  EXPECT_EQ(tables[Table::counts], counts);
}

TEST(Fold, OfADeletionLeavesOnlyHistoryAndCounts) {
  LogBuilder builder;
  domain::ContactCreated event = created(ann, "ann@x.io");
  event.changes.push_back(first_tags({"a"}));
  builder.then(event).then(ContactDeleted{ann, 2});
  for (const bool one_batch : {true, false}) {
    SCOPED_TRACE(one_batch);
    Tables tables;
    if (!one_batch) fold_some(tables, builder.log, 2);
    EXPECT_EQ(fold_rest(tables, builder.log).back().contact, nullptr);
    for (const Table table : {Table::contacts, Table::emails, Table::by_update, Table::tags}) {
      EXPECT_THAT(tables[table], IsEmpty()) << name_of(table);
    }
    EXPECT_EQ(counts_in(tables, "acme"), std::pair(0UL, 0UL));
    ASSERT_EQ(tables[Table::history].size(), 2U);
    const HistoryEntry last = read_history(tables[Table::history].rbegin()->second);
    EXPECT_EQ(last.kind, HistoryEntry::Kind::deleted);
    EXPECT_EQ(last.changes, "");
  }
}

TEST(Fold, LetsAnEmailPassFromOneContactToAnotherWithinABatch) {
  LogBuilder builder;
  builder.then(created(ann, "ann@x.io"))
      .then(updated(ann, 2, {change(Field::email, "ann@x.io", "ann@y.io")}))
      .then(created(bob, "ann@x.io"))
      .then(ContactDeleted{ann, 3});
  Tables tables;
  fold_rest(tables, builder.log);
  EXPECT_THAT(tables[Table::emails],
              ElementsAre(Pair(keys::email(org("acme"), "ann@x.io"), bob.str())));
}

// In a batch of the end contacts are changed where they are, too.
TEST(Fold, KnowsOfHowManyBytesTheFieldsOfItsContactsAre) {
  LogBuilder builder;
  builder.then(created(ann, "ann@x.io")).then(created(bob, "bob@x.io"));
  Tables tables;
  fold_rest(tables, builder.log);
  const std::size_t known = builder.log.size();
  const std::string text(1000, 'x');
  const auto company = [](std::string_view from, std::string_view to) {
    return domain::FieldChange{Field::company, from.empty() ? FieldValue{} : FieldValue::text(from),
                               to.empty() ? FieldValue{} : FieldValue::text(to)};
  };
  builder.then(updated(ann, 2, {company("", text)}));
  builder.then(updated(ann, 3, {company(text, "")}));
  builder.then(updated(bob, 2, {company("", text)}));
  builder.then(updated(bob, 3, {company(text, text + text)}));
  builder.then(ContactDeleted{ann, 4});
  for (const auto rows : {FoldBatch::Rows::of_each_event, FoldBatch::Rows::of_the_end}) {
    Tables::Batch unwritten{tables};
    FoldBatch fold{0, tables.checkpoint(0), tables, unwritten, rows};
    std::vector<std::size_t> bytes;
    for (std::size_t i = known; i < builder.log.size(); ++i) {
      fold.apply(i, builder.log[i]);
      bytes.push_back(fold.contact_bytes());
    }
    EXPECT_EQ(bytes[0] - bytes[1], text.size() + 2 - 4);  // in quotes, and `null`
    EXPECT_EQ(bytes[3] - bytes[2], text.size());
    EXPECT_LT(bytes[4], bytes[3]);
    EXPECT_GT(bytes[4], 2 * text.size());
  }
}

TEST(Fold, KeepsOrganizationsApart) {
  LogBuilder builder;
  builder.in("a").then(created(ann, "ann@x.io")).in("ab").then(created(ann, "ann@x.io"));
  builder.then(ContactDeleted{ann, 2});
  Tables tables;
  fold_rest(tables, builder.log);
  EXPECT_EQ(counts_in(tables, "a"), std::pair(1UL, 0UL));
  EXPECT_EQ(counts_in(tables, "ab"), std::pair(0UL, 0UL));
  EXPECT_THAT(tables[Table::emails],
              ElementsAre(Pair(keys::email(org("a"), "ann@x.io"), ann.str())));
}

TEST(Fold, ListsAContactUnderItsLastUpdateEvenIfTheClockWentBack) {
  LogBuilder builder;
  builder.then(created(ann)).at(after(-5)).then(updated(ann, 2, {first(Field::company, "Acme")}));
  Tables tables;
  fold_rest(tables, builder.log);
  EXPECT_THAT(tables[Table::by_update], ElementsAre(Pair(list_key(noon, 2), ann.str() + "a")));
}

TEST(Fold, AppliesNothingThatProvesTooLittle) {
  LogBuilder builder;
  builder.then(created(ann));
  const auto stale = builder.next_stamp();
  builder.claim().with_key(1).stray(created(bob, "bob@x.io"), stale);
  builder.with_key(2).stray(created(bob, "bob@x.io"), {builder.next_stamp().claim, 2});
  builder.at(after(2 * day_ms)).stray(created(bob), {builder.next_stamp().claim, 0});
  Tables tables;
  fold_some(tables, builder.log, 3);
  Tables before = tables;
  const auto results = fold_rest(tables, builder.log);
  EXPECT_EQ(results[0].admission, Admission::stale_claim);
  EXPECT_EQ(results[1].admission, Admission::out_of_sequence);
  EXPECT_EQ(results[2].admission, Admission::out_of_sequence);
  for (const auto& result : results) EXPECT_EQ(result.contact, nullptr);
  EXPECT_EQ(unchained(tables.checkpoint(0)), (Checkpoint{6, 2, 1, noon}));
  EXPECT_EQ(tables.checkpoint(0).chain.events, 3U);
  before[Table::meta] = tables[Table::meta];
  EXPECT_EQ(tables.lines(), before.lines());
}

// In a topic that was copied record by record, Kafka's own between them are missing: later claims
// lie before where their events say that they are.
TEST(Fold, StopsWhereRecordsWereCopiedToOtherOffsets) {
  LogBuilder builder;
  builder.then(created(ann)).claim();
  Tables tables;
  fold_rest(tables, builder.log);
  const std::uint64_t claimed = tables.checkpoint(0).claim;
  const auto updates_under = [&](std::uint64_t claim) {
    LogBuilder next = builder;
    next.stray(updated(ann, 2, {first(Field::company, "Acme")}), {claim, 1});
    domain::RecordedEvent& event = next.log.back();
    event.chain_hash = chain_hash(tables.checkpoint(0).chain.hash, canonical_bytes(event));
    return next.log;
  };
  EXPECT_THROW(fold_rest(tables, updates_under(claimed + 1)), BrokenLog);
  // What a fenced writer has left behind names an earlier one.
  EXPECT_EQ(fold_rest(tables, updates_under(claimed - 1)).at(0).admission, Admission::stale_claim);
}

TEST(Fold, PassesOverARecordThatIsNoEvent) {
  LogBuilder builder;
  Tables tables;
  Tables::Batch batch{tables};
  FoldBatch fold{0, {}, tables, batch};
  fold.apply(0, builder.log[0]);
  fold.skip(1);
  fold.finish();
  batch.commit();
  EXPECT_EQ(unchained(tables.checkpoint(0)), (Checkpoint{2, 0, 1, noon}));
  EXPECT_EQ(tables.checkpoint(0).chain.events, 1U);
}

TEST(Fold, ShowsNothingOfABatchThatIsDropped) {
  LogBuilder builder;
  builder.then(created(ann, "ann@x.io"));
  Tables tables;
  {
    Tables::Batch batch{tables};
    FoldBatch fold{0, {}, tables, batch};
    fold.apply(0, builder.log[0]);
    fold.apply(1, builder.log[1]);
    fold.finish();
  }
  EXPECT_THAT(tables.lines(), IsEmpty());
  fold_rest(tables, builder.log);
  EXPECT_EQ(counts_in(tables, "acme"), std::pair(1UL, 0UL));
}

struct BrokenRow {
  const char* what;
  domain::Event event;
  bool with_key = false;
};

TEST(Fold, StopsAtWhatNoWriterCouldHaveDecided) {
  const std::vector<BrokenRow> rows = {
      {"creates what is there", created(ann)},
      {"updates what is not there", updated(bob, 2, {})},
      {"updates what was deleted", updated(contact_id("gone"), 3, {})},
      {"updates with the same version", updated(ann, 1, {})},
      {"updates with a version too far", updated(ann, 3, {})},
      {"deletes what is not there", ContactDeleted{bob, 2}},
      {"deletes with a version too far", ContactDeleted{ann, 3}},
      {"revokes a key that is not there", domain::ApiKeyRevoked{"k9"}},
      {"replaces a key that is not there",
       domain::ApiKeyCreated{"k", "n", {}, {}, {}, domain::ReplacedKey{"k9", noon}}},
      {"answers with a contact that is not there", domain::RequestAnswered{bob}, true},
      {"creates a key under an idempotency key", domain::ApiKeyCreated{"k", "n", {}, {}}, true},
  };
  for (const BrokenRow& row : rows) {
    SCOPED_TRACE(row.what);
    LogBuilder builder;
    const domain::ContactId gone = contact_id("gone");
    builder.then(created(ann)).then(created(gone)).then(ContactDeleted{gone, 2});
    if (row.with_key) builder.with_key(1);
    builder.then(row.event);
    for (const std::size_t already_folded : {0U, 4U}) {
      Tables tables;
      fold_some(tables, builder.log, already_folded);
      const auto before = tables.lines();
      EXPECT_THROW(fold_rest(tables, builder.log), BrokenLog);
      EXPECT_EQ(tables.lines(), before);
    }
  }
}

TEST(Fold, StopsAtARowThatIsDamaged) {
  LogBuilder builder;
  builder.then(created(ann)).then(updated(ann, 2, {first(Field::company, "x")}));
  Tables tables;
  fold_some(tables, builder.log, 2);
  tables[Table::contacts].begin()->second[0] = 9;
  EXPECT_THROW(fold_rest(tables, builder.log), CorruptRecord);
}

}  // namespace
}  // namespace contactd::projections
