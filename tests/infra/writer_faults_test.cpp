#include <gtest/gtest.h>

#include <atomic>

#include "infra/errors.hpp"
#include "tests/infra/writer_fixture.hpp"

// What the writer says and does when its log goes wrong; the verdicts are the design's invariants.
namespace contactd::test {
namespace {

using namespace contactd::infra;
using domain::Field;
using projections::ContactAnswer;

AppendResult lost(EventLog&, const Claim&, FaultyLog::Batch) { return AppendResult::unknown; }

AppendResult kept_but_unknown(EventLog& log, const Claim& claim, FaultyLog::Batch batch) {
  EXPECT_EQ(log.append(claim, batch), AppendResult::committed);
  return AppendResult::unknown;
}

AppendResult rival_claims_before(EventLog& log, const Claim& claim, FaultyLog::Batch batch) {
  log.claim(0, claim_proposal("rival"));
  return log.append(claim, batch);
}

// The hole in the protocol: a fenced writer's batch is committed after the rival's claim.
AppendResult committed_after_a_rival(EventLog& log, const Claim&, FaultyLog::Batch batch) {
  const Claim rival = log.claim(0, claim_proposal("rival"));
  return log.append(rival, batch);
}

class WriterFaultsTest : public WriterTest {
 protected:
  // Whatever happened, the database must be what the log says, and the writer serve again.
  void expect_sound() {
    wait_until_serving();
    EXPECT_TRUE(is<ContactAnswer>(run(create("last"))));
    EXPECT_EQ(lines_of(*store_), folded_anew());
  }
};

// Invariant 7: the same key gives the true answer once the log has settled it.
TEST_F(WriterFaultsTest, ABatchOfUnknownFateThatWasKeptIsToldToARetry) {
  start();
  log_->on_append(kept_but_unknown);
  EXPECT_TRUE(is<OutcomeUnknown>(with_key(1).run(create("ann", "ann@x.io"))));
  wait_for_claim(2);
  const Outcome retried = with_key(1).run(create("bob", "ann@x.io"));
  EXPECT_TRUE(retried.replayed);
  EXPECT_TRUE(as<ContactAnswer>(retried).created);
  EXPECT_EQ(as<ContactAnswer>(retried).json, stored("ann")->json());
  EXPECT_EQ(stored("bob"), nullptr);
  EXPECT_EQ(metrics_->log_unknown.Value(), 1);
  EXPECT_EQ(metrics_->log_claims.Value(), 2);
  expect_sound();
}

TEST_F(WriterFaultsTest, ABatchOfUnknownFateThatWasLostIsDecidedAnewByARetry) {
  start();
  log_->on_append(lost);
  EXPECT_TRUE(is<OutcomeUnknown>(with_key(1).run(create("ann", "ann@x.io"))));
  wait_for_claim(2);
  EXPECT_EQ(stored("ann"), nullptr);
  const Outcome retried = with_key(1).run(create("ann", "ann@x.io"));
  EXPECT_FALSE(retried.replayed);
  EXPECT_TRUE(as<ContactAnswer>(retried).created);
  expect_sound();
}

// A rejection may rest on an event of its batch, so that its fate is the batch's.
TEST_F(WriterFaultsTest, EveryCommandOfABatchSharesItsFate) {
  for (const bool kept : {true, false}) {
    SCOPED_TRACE(kept);
    const std::string organization = kept ? "kept" : "lost";
    in(organization);
    if (writer_ == nullptr) start();
    std::vector<std::uint64_t> tokens;
    as_one_batch([&] {
      log_->on_append(kept ? &kept_but_unknown : &lost);
      tokens.push_back(submit(create("ann", "ann@x.io")));
      tokens.push_back(submit(create("bob", "ann@x.io")));
      tokens.push_back(submit(update("ann", {})));
    });
    for (const auto token : tokens) EXPECT_TRUE(is<OutcomeUnknown>(outcome_of(token)));
    wait_for_claim(kept ? 2 : 3);
    EXPECT_EQ(stored("ann") != nullptr, kept);
    EXPECT_EQ(stored("bob"), nullptr);
  }
  expect_sound();
}

TEST_F(WriterFaultsTest, AFencedBatchWasNotTaken) {
  start();
  log_->on_append(rival_claims_before);
  EXPECT_TRUE(is<NotTaken>(with_key(1).run(create("ann"))));
  EXPECT_EQ(metrics_->log_fenced.Value(), 1);
  wait_for_claim(2);
  EXPECT_EQ(stored("ann"), nullptr);
  EXPECT_FALSE(with_key(1).run(create("ann")).replayed);
  expect_sound();
}

// Invariants 4 and 5: what was committed under a claim that is no longer the current one is
// counted and never applied, and nobody is told that it was.
TEST_F(WriterFaultsTest, ABatchCommittedAfterARivalsClaimIsNeverApplied) {
  start();
  run(create("ann", "ann@x.io"));
  log_->on_append(committed_after_a_rival);
  EXPECT_TRUE(is<OutcomeUnknown>(with_key(1).run(update("ann", {set(Field::email, "a@y.io")}))));
  wait_for_claim(2);
  EXPECT_EQ(metrics_->fold_stale_claim.Value(), 1);
  EXPECT_EQ(stored("ann")->contact.version, 1U);
  EXPECT_EQ(store_->email_holder(org("acme"), "a@y.io"), std::nullopt);
  const Outcome retried = with_key(1).run(update("ann", {set(Field::email, "a@y.io")}));
  EXPECT_FALSE(retried.replayed);
  EXPECT_EQ(as<ContactAnswer>(retried).version, 2U);
  expect_sound();
}

TEST_F(WriterFaultsTest, ARivalThatClaimsWhileItCatchesUpIsOutclaimed) {
  open();
  std::atomic<bool> rivalled = false;
  log_->on_read([&](LogSlice& slice) {
    if (slice.entries.empty() || rivalled.exchange(true)) return;
    log_->real().claim(0, claim_proposal("rival"));
    slice = log_->real().read(0, 0, 10);
  });
  start();
  EXPECT_EQ(metrics_->log_claims.Value(), 2);
  expect_sound();
  stop();  // the log looks at what is on this stack
}

TEST_F(WriterFaultsTest, ARepeatedBatchIsAppliedOnce) {
  start();
  log_->on_append([](EventLog& log, const Claim& claim, FaultyLog::Batch batch) {
    EXPECT_EQ(log.append(claim, batch), AppendResult::committed);
    return log.append(claim, batch);
  });
  EXPECT_EQ(as<ContactAnswer>(run(create("ann"))).version, 1U);
  EXPECT_EQ(as<ContactAnswer>(run(update("ann", {tags({"a"})}))).version, 2U);
  EXPECT_EQ(metrics_->fold_out_of_sequence.Value(), 1);
  EXPECT_TRUE(writer_->status().state == State::serving);
  expect_sound();
}

TEST_F(WriterFaultsTest, ABatchWithAHoleIsNeverApplied) {
  start();
  std::vector<std::uint64_t> tokens;
  as_one_batch([&] {
    log_->on_append([](EventLog& log, const Claim& claim, FaultyLog::Batch batch) {
      return log.append(claim, batch.subspan(1));
    });
    tokens.push_back(submit(create("ann")));
    tokens.push_back(submit(update("ann", {tags({"a"})})));
    tokens.push_back(submit(create("bob")));
  });
  for (const auto token : tokens) EXPECT_TRUE(is<OutcomeUnknown>(outcome_of(token)));
  wait_for_claim(2);
  EXPECT_EQ(metrics_->fold_out_of_sequence.Value(), 2);
  EXPECT_EQ(stored("ann"), nullptr);
  EXPECT_EQ(stored("bob"), nullptr);
  expect_sound();
}

// Invariant 1: append's word alone is no 2xx.
TEST_F(WriterFaultsTest, ACommitThatTheLogNeverShowsIsNoPromise) {
  start({.read_back_wait_max = std::chrono::milliseconds{50}});
  const std::uint64_t end = log_end();
  log_->on_read([&](LogSlice& slice) {
    std::erase_if(slice.entries, [&](const LogEntry& entry) { return entry.offset >= end; });
    slice.next_offset = std::min(slice.next_offset, end);
  });
  EXPECT_TRUE(is<OutcomeUnknown>(run(create("ann"))));
  EXPECT_EQ(stored("ann"), nullptr);
  log_->on_read({});
  wait_for_claim(2);
  expect_sound();
  EXPECT_NE(stored("ann"), nullptr);
  stop();  // the log looks at what is on this stack
}

TEST_F(WriterFaultsTest, ALogThatIsAwayIsTriedAgain) {
  open();
  for (int i = 0; i < 2; ++i) {
    log_->on_claim([] { throw LogUnavailable("the broker is away"); });
  }
  start();
  EXPECT_EQ(metrics_->log_claims.Value(), 1);
  log_->on_append([](EventLog&, const Claim&, FaultyLog::Batch) -> AppendResult {
    throw LogUnavailable("the broker is away");
  });
  log_->on_claim([this] {
    EXPECT_EQ(try_submit(create("bob")), Refusal::unavailable);
    EXPECT_EQ(of_partition(metrics_->partition_serving, 0).Value(), 0);
  });
  EXPECT_TRUE(is<OutcomeUnknown>(run(create("ann"))));
  wait_for_claim(2);
  expect_sound();
}

// A claim is a record, and such trouble may last for days.
TEST_F(WriterFaultsTest, DoesNotClaimAgainAndAgainWhereNothingCanBeFolded) {
  start();
  std::atomic<int> attempts = 0;
  log_->on_read([&](LogSlice&) {
    ++attempts;
    throw StoreUnavailable("the projections' disk is full");
  });
  EXPECT_TRUE(is<OutcomeUnknown>(run(create("ann"))));
  test::wait_until([&] { return attempts >= 12; }, "it isn't tried again");
  EXPECT_EQ(metrics_->log_claims.Value(), 1);
  EXPECT_EQ(writer_->status().state, State::recovering);
  EXPECT_NE(writer_->status().detail.find("disk is full"), std::string::npos);
  log_->on_read({});
  wait_for_claim(2);
  expect_sound();
  EXPECT_NE(stored("ann"), nullptr);
  stop();  // the log looks at what is on this stack
}

// As a large write of the projections does.
TEST_F(WriterFaultsTest, AFoldThatTakesLongIsNoLogThatShowsNothing) {
  constexpr std::chrono::milliseconds patience{10};
  open();
  log_->on_read([&](LogSlice&) {
    const auto done = std::chrono::steady_clock::now() + 10 * patience;
    test::wait_until([&] { return std::chrono::steady_clock::now() >= done; }, "time stands still");
  });
  start({.read_back_wait_max = patience});
  EXPECT_EQ(metrics_->log_claims.Value(), 1);
  log_->on_read({});
  expect_sound();
}

// Another process goes on writing: there is more each time that this one looks.
TEST_F(WriterFaultsTest, CatchesUpWithALogThatNeverStandsStill) {
  open();
  const std::uint64_t first_end = 3;
  for (std::uint64_t i = 0; i < first_end; ++i) log_->claim(0, claim_proposal("rival"));
  log_->on_read([&](LogSlice&) { log_->real().claim(0, claim_proposal("rival")); });
  writer_ =
      std::make_unique<Writer>(0, Writer::Limits{}, *log_, *store_, *metrics_, [] { return noon; });
  writer_->start();
  writer_->give_up(Ownership::elsewhere);
  test::wait_until([&] { return writer_->caught_up(); }, "it never catches up");
  EXPECT_GE(store_->checkpoint(0).next_offset, first_end);
  stop();  // the log looks at what is on this stack
}

TEST_F(WriterFaultsTest, WhatWasQueuedWhenTheLogFailedWasNotTaken) {
  start();
  Gate gate;
  log_->on_append([&](EventLog&, const Claim&, FaultyLog::Batch) {
    gate.pass();
    return AppendResult::unknown;
  });
  const auto under_way = submit(create("ann"));
  gate.wait_until_entered();
  const auto queued = with_key(1).submit(create("bob"));
  gate.open();
  EXPECT_TRUE(is<OutcomeUnknown>(outcome_of(under_way)));
  EXPECT_TRUE(is<NotTaken>(outcome_of(queued)));
  wait_for_claim(2);
  EXPECT_TRUE(as<ContactAnswer>(with_key(1).run(create("bob"))).created);
  expect_sound();
}

// What RocksDB finds good, and is no row all the same.
TEST_F(WriterFaultsTest, ARowThatIsNoneIsNothingToOthers) {
  open();
  {
    const auto batch = store_->begin();
    batch->put(projections::Table::contacts,
               projections::keys::contact(org("acme"), contact_id("ann")), "x");
    batch->commit();
  }
  start();
  as_one_batch([&] {
    submit(domain::UpdateContact{contact_id("ann"), {}, {}});
    submit(create("bob"));
  });
  EXPECT_TRUE(is<NotTaken>(outcome_of(last_token() - 1)));
  EXPECT_TRUE(is<ContactAnswer>(outcome_of(last_token())));
  EXPECT_EQ(writer_->status().state, State::serving);
}

// Invariant 8: a record that can't be read stops the partition, and reads go on.
TEST_F(WriterFaultsTest, AnUnreadableRecordStopsThePartition) {
  start();
  run(create("ann"));
  const std::uint64_t at = log_end();
  log_->on_read([&](LogSlice& slice) {
    for (LogEntry& entry : slice.entries) {
      if (entry.offset == at) entry.record = UnreadableRecord{"of type x.v9: unknown"};
    }
  });
  EXPECT_TRUE(is<OutcomeUnknown>(run(create("bob"))));
  wait_until(State::stopped, "the partition isn't stopped");
  const Writer::Status status = writer_->status();
  EXPECT_NE(status.detail.find("offset " + std::to_string(at)), std::string::npos);
  EXPECT_NE(status.detail.find("of type x.v9: unknown"), std::string::npos);
  EXPECT_EQ(of_partition(metrics_->partition_serving, 0).Value(), 0);
  EXPECT_EQ(try_submit(create("cy")), Refusal::unavailable);
  EXPECT_NE(stored("ann"), nullptr);
  EXPECT_EQ(stored("bob"), nullptr);
  EXPECT_EQ(store_->checkpoint(0).next_offset, at);

  // A release that can read it goes on where this one stopped.
  stop();
  start();
  EXPECT_NE(stored("bob"), nullptr);
  expect_sound();
}

TEST_F(WriterFaultsTest, AnUnreadableRecordStopsTheStartToo) {
  start();
  run(create("ann"));
  stop();
  open();
  log_->on_read([](LogSlice& slice) {
    for (LogEntry& entry : slice.entries) entry.record = UnreadableRecord{"damaged"};
  });
  writer_ =
      std::make_unique<Writer>(0, Writer::Limits{}, *log_, *store_, *metrics_, [] { return noon; });
  writer_->start();
  writer_->take();
  wait_until(State::stopped, "the partition isn't stopped");
  EXPECT_NE(stored("ann"), nullptr);
}

TEST_F(WriterFaultsTest, AnEventThatNobodyCouldHaveDecidedStopsThePartition) {
  start();
  log_->on_append([](EventLog& log, const Claim& claim, FaultyLog::Batch batch) {
    domain::RecordedEvent event = batch.front();
    event.event = domain::ContactUpdated{contact_id("nobody"), 2, {}};
    event.chain_hash = {};  // as if decided so, and not changed later
    return log.append(claim, {&event, 1});
  });
  EXPECT_TRUE(is<OutcomeUnknown>(run(create("ann"))));
  wait_until(State::stopped, "the partition isn't stopped");
  EXPECT_NE(writer_->status().detail.find("isn't there"), std::string::npos);
}

TEST_F(WriterFaultsTest, ALogThatLacksWhatWasFoldedStopsThePartition) {
  start();
  run(create("ann"));
  run(create("bob"));
  stop();
  std::filesystem::remove_all(log_path());
  open();
  writer_ =
      std::make_unique<Writer>(0, Writer::Limits{}, *log_, *store_, *metrics_, [] { return noon; });
  writer_->start();
  writer_->take();
  wait_until(State::stopped, "the partition isn't stopped");
  EXPECT_NE(stored("ann"), nullptr);
}

TEST_F(WriterFaultsTest, ARecordThatIsNotContactdsIsPassedOver) {
  start();
  run(create("ann"));
  const std::uint64_t at = log_end();
  log_->on_append([](EventLog& log, const Claim& claim, FaultyLog::Batch batch) {
    domain::RecordedEvent stranger = batch.front();
    EXPECT_EQ(log.append(claim, {&stranger, 1}), AppendResult::committed);
    return log.append(claim, batch);
  });
  log_->on_read([&](LogSlice& slice) {
    for (LogEntry& entry : slice.entries) {
      if (entry.offset == at) entry.record = ForeignRecord{"no format that is contactd's"};
    }
  });
  EXPECT_TRUE(is<ContactAnswer>(run(create("bob"))));
  EXPECT_EQ(metrics_->fold_foreign.Value(), 1);
  EXPECT_TRUE(writer_->status().state == State::serving);
  stop();  // the log looks at what is on this stack
}

TEST_F(WriterFaultsTest, AWriterStopsWhileItsLogIsAway) {
  open();
  for (int i = 0; i < 100; ++i) {
    log_->on_claim([] { throw LogUnavailable("the broker is away"); });
  }
  writer_ =
      std::make_unique<Writer>(0, Writer::Limits{}, *log_, *store_, *metrics_, [] { return noon; });
  writer_->start();
  writer_->take();
  wait_until(State::recovering, "the writer doesn't see that its log is away");
  auto stopped = std::async(std::launch::async, [&] { writer_->stop(); });
  EXPECT_EQ(stopped.wait_for(answer_wait_max), std::future_status::ready);
}

}  // namespace
}  // namespace contactd::test
