#include <gtest/gtest.h>

#include "infra/errors.hpp"
#include "tests/infra/writer_fixture.hpp"

// Batches that overlap, and a partition that comes and goes.
namespace contactd::test {
namespace {

using namespace contactd::infra;
using domain::Field;
using domain::Rejection;
using projections::ContactAnswer;

// Holds a first batch, which creates ann, between its commit and its fold, while a second one is
// decided and appended.
class WriterInFlightTest : public WriterTest {
 public:
  ~WriterInFlightTest() override { stop(); }  // the log looks at the members below

 protected:
  // `submit_second` submits the second batch; returns once the first waits to be folded.
  template <class SubmitSecond>
  std::uint64_t with_first_in_flight(const SubmitSecond& submit_second) {
    const std::uint64_t end = log_end();
    log_->on_read([this, end](LogSlice& slice) {
      if (slice.next_offset > end && !held_.exchange(true)) fold_.pass();
    });
    Gate append;
    log_->on_append(append.as_fault());
    const auto first = submit(create("ann", "ann@x.io"));
    append.wait_until_entered();
    submit_second();  // something waits: the first batch is handed over
    append.open();
    fold_.wait_until_entered();
    return first;
  }
  void start_overlapping() { start({.batches_in_flight_max = 2}); }
  void wait_for_log_end(std::uint64_t end) {
    test::wait_until([&] { return log_end() >= end; }, "nothing is appended");
  }

  Gate fold_;
  std::atomic<bool> held_ = false;
};

// A batch of one, and one of two, of which both are answered.
class GatheringWriterTest : public WriterTest {
 public:
  ~GatheringWriterTest() override { stop(); }

 protected:
  void given_a_batch_of_two(std::chrono::milliseconds gather_wait_max) {
    start({.gather_wait_max = gather_wait_max});
    Gate append;
    log_->on_append(append.as_fault());
    const auto first = submit(create("ann", "ann@x.io"));
    append.wait_until_entered();
    const auto second = submit(create("bob", "bob@x.io"));
    const auto third = submit(create("cy", "cy@x.io"));
    append.open();
    for (const auto token : {first, second, third}) outcome_of(token);
    expect_batches(2, 3);
  }
  void expect_batches(std::uint64_t count, double commands) {
    const auto seen = metrics_->batch_commands.Collect().histogram;
    EXPECT_EQ(seen.sample_count, count);
    EXPECT_EQ(seen.sample_sum, commands);
  }
};

TEST_F(GatheringWriterTest, WaitsForAsManyAsTheBatchBeforeHad) {
  given_a_batch_of_two(std::chrono::hours{1});
  const auto one = submit(update("ann", {set(Field::company, "Acme")}));
  const auto other = submit(update("bob", {set(Field::company, "Acme")}));
  EXPECT_EQ(as<ContactAnswer>(outcome_of(one)).version, 2U);
  EXPECT_EQ(as<ContactAnswer>(outcome_of(other)).version, 2U);
  expect_batches(3, 5);
}

TEST_F(GatheringWriterTest, WaitsNoLongerThanItMay) {
  given_a_batch_of_two(std::chrono::milliseconds{1});
  const auto one = submit(update("ann", {set(Field::company, "Acme")}));
  EXPECT_EQ(as<ContactAnswer>(outcome_of(one)).version, 2U);
  expect_batches(3, 4);
}

TEST_F(GatheringWriterTest, ToldToStopWaitsForNothing) {
  given_a_batch_of_two(std::chrono::hours{1});
  const auto one = submit(update("ann", {set(Field::company, "Acme")}));
  stop();
  EXPECT_EQ(as<ContactAnswer>(outcome_of(one)).version, 2U);
}

TEST_F(WriterInFlightTest, DecidesABatchOnTheOneThatIsNotFoldedYet) {
  start_overlapping();
  std::vector<std::uint64_t> tokens;
  const auto first = with_first_in_flight([&] {
    tokens.push_back(submit(create("bob", "ann@x.io")));
    tokens.push_back(submit(update("ann", {set(Field::email, "ann@x.io")})));
    tokens.push_back(submit(update("ann", {set(Field::company, "Acme")}, domain::OneOf{{1}})));
    tokens.push_back(submit(update("ann", {}, domain::OneOf{{1}})));
    tokens.push_back(submit(update("nobody", {})));
  });
  wait_for_log_end(3);
  EXPECT_EQ(replies_.count(), 0U);
  EXPECT_EQ(stored("ann"), nullptr);
  fold_.open();
  EXPECT_TRUE(as<ContactAnswer>(outcome_of(first)).created);
  EXPECT_EQ(rejection(outcome_of(tokens[0])), Rejection{domain::EmailTaken{contact_id("ann")}});
  const auto unchanged = as<ContactAnswer>(outcome_of(tokens[1]));
  EXPECT_EQ(unchanged.version, 1U);
  EXPECT_EQ(unchanged.json, as<ContactAnswer>(outcome_of(first)).json);
  EXPECT_EQ(as<ContactAnswer>(outcome_of(tokens[2])).version, 2U);
  EXPECT_EQ(rejection(outcome_of(tokens[3])),
            (Rejection{domain::VersionMismatch{2, {Field::company}}}));
  EXPECT_EQ(rejection(outcome_of(tokens[4])), Rejection{domain::ContactNotFound{}});
  EXPECT_EQ(lines_of(*store_), folded_anew());
}

// It rests on an event that isn't folded, so that it isn't true before that is.
TEST_F(WriterInFlightTest, ARefusalWaitsForTheFoldOfWhatItRestsOn) {
  start_overlapping();
  std::uint64_t refused = 0;
  with_first_in_flight([&] { refused = submit(create("bob", "ann@x.io")); });
  test::wait_until([&] { return metrics_->batch_commands.Collect().histogram.sample_count >= 2; },
                   "the second batch isn't decided");
  EXPECT_EQ(replies_.count(), 0U);
  fold_.open();
  EXPECT_EQ(rejection(outcome_of(refused)), Rejection{domain::EmailTaken{contact_id("ann")}});
}

TEST_F(WriterInFlightTest, WhatWasCommittedIsToldThoughTheNextBatchIsInDoubt) {
  start_overlapping();
  std::uint64_t second = 0;
  const auto first = with_first_in_flight([&] {
    log_->on_append(
        [](EventLog&, const Claim&, FaultyLog::Batch) { return AppendResult::unknown; });
    second = submit(update("ann", {set(Field::company, "Acme")}));
  });
  EXPECT_TRUE(is<OutcomeUnknown>(outcome_of(second)));
  fold_.open();
  EXPECT_TRUE(as<ContactAnswer>(outcome_of(first)).created);
  wait_for_claim(2);
  EXPECT_EQ(stored("ann")->contact.version, 1U);
  EXPECT_EQ(lines_of(*store_), folded_anew());
}

// What rests on a batch that the log lost isn't applied either.
TEST_F(WriterInFlightTest, ABatchDecidedOnALostOneIsNeverApplied) {
  start({.batches_in_flight_max = 2, .read_back_wait_max = std::chrono::milliseconds{200}});
  std::vector<std::uint64_t> tokens;
  Gate append;
  log_->on_append([&](EventLog&, const Claim&, FaultyLog::Batch) {
    append.pass();
    return AppendResult::committed;  // it lies
  });
  tokens.push_back(submit(create("ann", "ann@x.io")));
  append.wait_until_entered();
  tokens.push_back(submit(update("ann", {set(Field::company, "Acme")})));
  append.open();
  for (const auto token : tokens) EXPECT_TRUE(is<OutcomeUnknown>(outcome_of(token)));
  wait_for_claim(2);
  EXPECT_EQ(stored("ann"), nullptr);
  EXPECT_TRUE(is<ContactAnswer>(run(create("bob", "ann@x.io"))));
  EXPECT_EQ(lines_of(*store_), folded_anew());
}

TEST_F(WriterInFlightTest, GivesThePartitionUpAndTakesItAgain) {
  start();
  run(create("ann"));
  writer_->give_up(Ownership::elsewhere);
  EXPECT_EQ(writer_->ownership(), Ownership::elsewhere);
  EXPECT_EQ(try_submit(create("bob")), Refusal::unavailable);
  wait_until(State::following, "it doesn't follow");
  writer_->take();
  wait_for_claim(2);
  EXPECT_TRUE(is<ContactAnswer>(run(create("bob"))));
}

TEST_F(WriterInFlightTest, AnswersWhatIsUnderWayBeforeItHasGivenThePartitionUp) {
  start();
  Gate append;
  log_->on_append(append.as_fault());
  const auto under_way = submit(create("ann"));
  append.wait_until_entered();
  const auto queued = submit(create("bob"));
  auto given_up = std::async(std::launch::async, [&] { writer_->give_up(Ownership::unknown); });
  test::wait_until([&] { return writer_->ownership() == Ownership::unknown; }, "it holds on");
  append.open();
  ASSERT_EQ(given_up.wait_for(answer_wait_max), std::future_status::ready);
  EXPECT_TRUE(is<ContactAnswer>(outcome_of(under_way)));
  EXPECT_TRUE(is<NotTaken>(outcome_of(queued)));
}

TEST_F(WriterInFlightTest, FollowsWhatAnotherWrites) {
  open();
  writer_ =
      std::make_unique<Writer>(0, Writer::Limits{}, *log_, *store_, *metrics_, [] { return noon; });
  writer_->start();
  writer_->give_up(Ownership::elsewhere);
  LogBuilder builder;
  builder.then(created(contact_id("ann")));
  write_to(*log_, builder.log);
  test::wait_until([&] { return stored("ann") != nullptr; }, "it doesn't fold");
  wait_until(State::following, "it doesn't follow");
  EXPECT_TRUE(writer_->caught_up());
  EXPECT_EQ(metrics_->log_claims.Value(), 0);
  EXPECT_EQ(try_submit(create("bob")), Refusal::unavailable);
}

// Nobody asks for anything, and it notices all the same: a read may be out of date from then on.
TEST_F(WriterInFlightTest, NoticesARivalsClaimWhileItIsIdle) {
  start();
  log_->real().claim(0, claim_proposal("rival"));
  wait_for_claim(2);
  EXPECT_TRUE(is<ContactAnswer>(run(create("ann"))));
}

}  // namespace
}  // namespace contactd::test
