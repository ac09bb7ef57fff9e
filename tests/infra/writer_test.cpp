#include "infra/writer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "domain/contact/decide.hpp"
#include "tests/infra/writer_fixture.hpp"

namespace contactd::test {
namespace {

using namespace contactd::infra;
using domain::Field;
using domain::Rejection;
using projections::ContactAnswer;
using projections::DeletedAnswer;

TEST_F(WriterTest, AnswersWithTheContactAsItIsStored) {
  start();
  const auto created = as<ContactAnswer>(run(create("ann", "ann@x.io")));
  EXPECT_TRUE(created.created);
  EXPECT_EQ(created.version, 1U);
  EXPECT_EQ(created.json, stored("ann")->json());
  now_ms_ += 5;
  const auto updated = as<ContactAnswer>(run(update("ann", {set(Field::company, "Acme")})));
  EXPECT_FALSE(updated.created);
  EXPECT_EQ(updated.version, 2U);
  EXPECT_EQ(updated.json, stored("ann")->json());
  EXPECT_EQ(stored("ann")->contact.updated_at, after(5));
  EXPECT_EQ(stored("ann")->contact.created_at, noon);
  EXPECT_EQ(as<DeletedAnswer>(run(remove("ann"))).contact, contact_id("ann"));
  EXPECT_EQ(stored("ann"), nullptr);
}

TEST_F(WriterTest, RecordsWhoAskedForWhat) {
  start();
  run(create("ann"));
  const LogSlice slice = log_->read(0, 1, 1);
  const auto& event = std::get<domain::RecordedEvent>(slice.entries.at(0).record);
  EXPECT_EQ(event.organization, org("acme"));
  EXPECT_EQ(event.actor, "key1");
  EXPECT_EQ(event.request_id, "request");
  EXPECT_EQ(event.time, noon);
  EXPECT_EQ(event.stamp, (domain::Stamp{0, 1}));
}

TEST_F(WriterTest, WritesNothingWhereNothingHappens) {
  start();
  const auto created = as<ContactAnswer>(run(create("ann", "ann@x.io")));
  const std::uint64_t end = log_end();
  now_ms_ += 1'000;
  const auto unchanged = as<ContactAnswer>(run(update("ann", {set(Field::email, "ann@x.io")})));
  EXPECT_EQ(unchanged.version, 1U);
  EXPECT_EQ(unchanged.json, created.json);
  EXPECT_EQ(log_end(), end);
}

TEST_F(WriterTest, Refuses) {
  start();
  run(create("ann", "ann@x.io"));
  run(create("bob"));
  EXPECT_EQ(rejection(run(update("nobody", {}))), Rejection{domain::ContactNotFound{}});
  EXPECT_EQ(rejection(run(remove("nobody"))), Rejection{domain::ContactNotFound{}});
  EXPECT_EQ(rejection(run(create("cy", "ann@x.io"))),
            Rejection{domain::EmailTaken{contact_id("ann")}});
  EXPECT_EQ(rejection(run(update("bob", {set(Field::email, "ann@x.io")}))),
            Rejection{domain::EmailTaken{contact_id("ann")}});
  EXPECT_EQ(rejection(run(update("ann", {}, domain::OneOf{{7}}))),
            (Rejection{domain::VersionMismatch{1, {}}}));
  EXPECT_EQ(stored("cy"), nullptr);
}

TEST_F(WriterTest, RevertsOnWhatIsConfirmed) {
  start();
  run(create("ann", "ann@x.io"));
  const auto first = stored("ann")->contact;
  run(update("ann", {set(Field::email, "ann@y.io"), set(Field::company, "Acme")}));
  const domain::RevertContact back{contact_id("ann"), 1, domain::patch_to(first),
                                   domain::AnyVersion{}};
  const auto reverted = as<ContactAnswer>(run(back));
  EXPECT_EQ(reverted.version, 3U);
  EXPECT_EQ(stored("ann")->contact.values, first.values);
  const std::uint64_t end = log_end();
  EXPECT_EQ(as<ContactAnswer>(run(back)).version, 3U);
  EXPECT_EQ(rejection(run(domain::RevertContact{contact_id("ann"), 9, {}, domain::AnyVersion{}})),
            Rejection{domain::VersionNotFound{9}});
  EXPECT_EQ(log_end(), end);
  run(update("ann", {set(Field::email, "ann@z.io")}));
  run(create("bob", "ann@x.io"));
  EXPECT_EQ(rejection(run(back)), Rejection{domain::EmailTaken{contact_id("bob")}});
  run(remove("ann"));
  EXPECT_EQ(rejection(run(back)), Rejection{domain::ContactNotFound{}});
}

TEST_F(WriterTest, KeepsOrganizationsApart) {
  start();
  in("a").run(create("ann", "ann@x.io"));
  EXPECT_TRUE(is<ContactAnswer>(in("ab").run(create("bob", "ann@x.io"))));
  EXPECT_EQ(rejection(in("b").run(update("ann", {}))), Rejection{domain::ContactNotFound{}});
  EXPECT_EQ(rejection(in("ab").run(remove("ann"))), Rejection{domain::ContactNotFound{}});
}

TEST_F(WriterTest, CreatesAndRevokesApiKeys) {
  start();
  const domain::CreateApiKey command{"k1", "ci", {domain::Scope::write}, digest(7)};
  const auto created = as<ApiKeyCreatedAnswer>(run(command));
  EXPECT_EQ(created.key, store_->api_key("k1"));
  now_ms_ += 1;
  EXPECT_EQ(as<ApiKeyRevokedAnswer>(run(domain::RevokeApiKey{"k1"})).key, "k1");
  EXPECT_EQ(store_->api_key("k1")->revoked_at, after(1));
  const std::uint64_t end = log_end();
  EXPECT_EQ(as<ApiKeyRevokedAnswer>(run(domain::RevokeApiKey{"k1"})).key, "k1");
  EXPECT_EQ(log_end(), end);
  EXPECT_EQ(rejection(run(domain::RevokeApiKey{"k2"})), Rejection{domain::ApiKeyNotFound{}});
}

// A key that was revoked gets no successor, be it a moment later; and one that has just been made
// can be revoked.
TEST_F(WriterTest, DecidesACommandAboutAKeyOnTheOnesBeforeItInItsBatch) {
  start();
  run(domain::CreateApiKey{"k1", "ci", {domain::Scope::write}, digest(7)});
  const auto rotate = [&](const char* old, const char* successor) {
    return domain::RotateApiKey{old, successor, digest(8), {}, after(50), after(0)};
  };
  std::vector<std::uint64_t> tokens;
  const std::uint64_t end = log_end();
  as_one_batch([&] {
    for (const domain::Command& command : std::vector<domain::Command>{
             rotate("k1", "k2"), domain::RevokeApiKey{"k1"}, domain::RevokeApiKey{"k1"},
             rotate("k1", "k3"), domain::RevokeApiKey{"k2"}, rotate("k2", "k4")}) {
      tokens.push_back(submit(command));
    }
  });
  const auto outcome = [&](std::size_t i) { return outcome_of(tokens.at(i)); };
  EXPECT_EQ(as<ApiKeyCreatedAnswer>(outcome(0)).key.id, "k2");
  EXPECT_EQ(as<ApiKeyRevokedAnswer>(outcome(1)).key, "k1");
  EXPECT_EQ(as<ApiKeyRevokedAnswer>(outcome(2)).key, "k1");
  EXPECT_EQ(rejection(outcome(3)), Rejection{domain::ApiKeyNotFound{}});
  EXPECT_EQ(as<ApiKeyRevokedAnswer>(outcome(4)).key, "k2");
  EXPECT_EQ(rejection(outcome(5)), Rejection{domain::ApiKeyNotFound{}});
  EXPECT_EQ(log_end(), end + 4);  // the contact that holds the batch, k2, and two that were revoked
  EXPECT_TRUE(store_->api_key("k1")->revoked_at);
  EXPECT_TRUE(store_->api_key("k2")->revoked_at);
}

TEST_F(WriterTest, DecidesACommandOnTheOnesBeforeItInItsBatch) {
  start();
  run(create("ann", "ann@x.io"));
  std::vector<std::uint64_t> tokens;
  as_one_batch([&] {
    for (const domain::Command& command : std::vector<domain::Command>{
             create("bob", "ann@x.io"),
             update("ann", {set(Field::email, "ann@y.io")}),
             create("cy", "ann@x.io"),
             update("ann", {set(Field::email, "ann@y.io")}),
             update("ann", {}, domain::OneOf{{1}}),
             update("ann", {set(Field::email, "ann@x.io")}),
             update("ann", {set(Field::company, "Acme")}, domain::OneOf{{2}}),
             remove("ann"),
             update("ann", {set(Field::company, "x")}),
             create("dee", "ann@y.io"),
         }) {
      tokens.push_back(submit(command));
    }
  });
  const auto outcome = [&](std::size_t i) { return outcome_of(tokens.at(i)); };
  const domain::ContactId cy = contact_id("cy");
  EXPECT_EQ(rejection(outcome(0)), Rejection{domain::EmailTaken{ann}});
  EXPECT_EQ(as<ContactAnswer>(outcome(1)).version, 2U);
  EXPECT_TRUE(as<ContactAnswer>(outcome(2)).created);
  EXPECT_EQ(as<ContactAnswer>(outcome(3)).version, 2U);
  EXPECT_EQ(as<ContactAnswer>(outcome(3)).json, as<ContactAnswer>(outcome(1)).json);
  EXPECT_EQ(rejection(outcome(4)), (Rejection{domain::VersionMismatch{2, {Field::email}}}));
  EXPECT_EQ(rejection(outcome(5)), Rejection{domain::EmailTaken{cy}});
  EXPECT_EQ(as<ContactAnswer>(outcome(6)).version, 3U);
  EXPECT_EQ(as<DeletedAnswer>(outcome(7)).contact, ann);
  EXPECT_EQ(rejection(outcome(8)), Rejection{domain::ContactNotFound{}});
  EXPECT_TRUE(as<ContactAnswer>(outcome(9)).created);
  EXPECT_EQ(log_->appends(), 3U);  // ann, the one that was held, the batch
  EXPECT_EQ(replies_.deliveries(), 3U);
  EXPECT_EQ(store_->email_holder(org("acme"), "ann@x.io"), cy);
  EXPECT_EQ(lines_of(*store_), folded_anew());
}

TEST_F(WriterTest, CutsBatchesAtTheirLimit) {
  start({.queue_commands_max = 100, .batch_commands_max = 3});
  std::vector<std::uint64_t> tokens;
  as_one_batch([&] {
    for (int i = 0; i < 7; ++i) tokens.push_back(submit(create(("c" + std::to_string(i)).c_str())));
  });
  for (const std::uint64_t token : tokens) EXPECT_TRUE(is<ContactAnswer>(outcome_of(token)));
  EXPECT_EQ(log_->appends(), 4U);
}

// One that is too large by itself is a batch all the same.
TEST_F(WriterTest, CutsBatchesOfLargeCommandsByTheirBytes) {
  start({.queue_commands_max = 100, .batch_commands_max = 256, .batch_bytes_max = 1'000});
  std::vector<std::uint64_t> tokens;
  as_one_batch([&] {
    for (const std::size_t bytes : {5'000U, 400U, 600U, 1U, 999U, 5'000U}) {
      send_bytes(bytes);
      tokens.push_back(submit(create(("b" + std::to_string(tokens.size())).c_str())));
    }
  });
  for (const std::uint64_t token : tokens) EXPECT_TRUE(is<ContactAnswer>(outcome_of(token)));
  EXPECT_EQ(log_->appends(), 5U) << "the one that was held, 5000, 400 + 600, 1 + 999, 5000";
}

TEST_F(WriterTest, SleepsOnThroughAWakeForNothingAndHearsTheNext) {
  start();
  for (int i = 0; i < 100; ++i) {
    writer_->wake();
    const std::string name = "c" + std::to_string(i) + "x";
    EXPECT_TRUE(is<ContactAnswer>(run(create(name.c_str()))));
  }
}

TEST_F(WriterTest, TellsARepeatWhatTheFirstWasTold) {
  start();
  const auto created = as<ContactAnswer>(with_key(1).run(create("ann", "ann@x.io")));
  const auto updated = as<ContactAnswer>(with_key(2).run(update("ann", {tags({"a"})})));
  const auto unchanged = as<ContactAnswer>(with_key(3).run(update("ann", {tags({"a"})})));
  const auto missing = rejection(with_key(4).run(update("nobody", {})));
  const auto taken = rejection(with_key(5).run(create("bob", "ann@x.io")));
  const auto removed = as<DeletedAnswer>(with_key(6).run(remove("ann")));
  const std::uint64_t end = log_end();
  EXPECT_EQ(end, 7U);  // each of them is a fact, the ones that changed nothing too

  const auto repeat = [&](std::uint8_t key, domain::Command command) {
    const Outcome outcome = with_key(key).run(std::move(command));
    EXPECT_TRUE(outcome.replayed);
    return outcome;
  };
  const auto again = as<ContactAnswer>(repeat(1, create("other")));
  EXPECT_TRUE(again.created);
  EXPECT_EQ(again.version, 1U);
  EXPECT_EQ(again.json, created.json);
  EXPECT_EQ(as<ContactAnswer>(repeat(2, update("ann", {}))).json, updated.json);
  EXPECT_FALSE(as<ContactAnswer>(repeat(3, update("ann", {}))).created);
  EXPECT_EQ(as<ContactAnswer>(repeat(3, update("ann", {}))).json, unchanged.json);
  EXPECT_EQ(rejection(repeat(4, update("nobody", {}))), missing);
  EXPECT_EQ(rejection(repeat(5, create("bob", "ann@x.io"))), taken);
  EXPECT_EQ(as<DeletedAnswer>(repeat(6, remove("ann"))).contact, removed.contact);
  EXPECT_EQ(log_end(), end);

  stop();
  start();
  EXPECT_EQ(as<ContactAnswer>(repeat(1, create("other"))).json, created.json);
}

TEST_F(WriterTest, RefusesAnIdempotencyKeyWithAnotherRequest) {
  start();
  with_key(1, 1).run(create("ann"));
  const std::uint64_t end = log_end();
  EXPECT_TRUE(is<IdempotencyKeyReused>(with_key(1, 2).run(create("bob"))));
  EXPECT_EQ(stored("bob"), nullptr);
  EXPECT_EQ(log_end(), end);
}

TEST_F(WriterTest, ForgetsAnIdempotencyKeyAfterADay) {
  start();
  with_key(1, 1).run(create("ann"));
  now_ms_ += day_ms - 1;
  EXPECT_TRUE(with_key(1, 1).run(create("bob")).replayed);
  now_ms_ += 1;
  EXPECT_FALSE(with_key(1, 2).run(create("cy")).replayed);
  EXPECT_NE(stored("cy"), nullptr);
  EXPECT_TRUE(with_key(1, 2).run(create("cy")).replayed);
}

TEST_F(WriterTest, RefusesARepeatWhileTheFirstIsUnderWay) {
  start();
  Gate gate;
  log_->on_append(gate.as_fault());
  const auto first = with_key(1).submit(create("ann"));
  EXPECT_EQ(with_key(1).try_submit(create("bob")), Refusal::in_progress);
  gate.wait_until_entered();
  EXPECT_EQ(with_key(1).try_submit(create("bob")), Refusal::in_progress);
  EXPECT_EQ(with_key(2).try_submit(create("cy")), std::nullopt);
  gate.open();
  outcome_of(first);
  EXPECT_TRUE(with_key(1).run(create("bob")).replayed);
}

TEST_F(WriterTest, RefusesWhatItsQueueHasNoRoomFor) {
  start({.queue_commands_max = 2, .batch_commands_max = 256});
  Gate gate;
  log_->on_append(gate.as_fault());
  std::vector<std::uint64_t> tokens{submit(create("c0"))};
  gate.wait_until_entered();
  tokens.push_back(submit(create("c1")));
  tokens.push_back(submit(create("c2")));
  EXPECT_EQ(try_submit(create("c3")), Refusal::queue_full);
  EXPECT_EQ(with_key(1).try_submit(create("c3")), Refusal::queue_full);
  EXPECT_EQ(metrics_->queue_full.Value(), 2);
  gate.open();
  for (const auto token : tokens) EXPECT_TRUE(is<ContactAnswer>(outcome_of(token)));
  // The one that was refused left no trace of its key.
  EXPECT_TRUE(as<ContactAnswer>(with_key(1).run(create("c3"))).created);
}

TEST_F(WriterTest, TakesNothingBeforeItHoldsThePartition) {
  open();
  Writer idle{0, {}, *log_, *store_, *metrics_, [] { return noon; }};
  EXPECT_EQ(idle.submit({org("acme"), create("ann"), "k", "r", {}, &replies_, 1}),
            Refusal::unavailable);
  EXPECT_EQ(idle.status().state, State::folding);
}

TEST_F(WriterTest, NeverLetsTimeGoBackwards) {
  start();
  run(create("ann"));
  now_ms_ -= hour_ms;
  run(update("ann", {set(Field::company, "x")}));
  EXPECT_EQ(stored("ann")->contact.updated_at, noon);
  stop();
  start();
  run(create("bob"));
  EXPECT_EQ(stored("bob")->contact.created_at, noon);
  std::int64_t last = 0;
  for (const LogEntry& entry : log_->read(0, 0, 100).entries) {
    const auto& event = std::get<domain::RecordedEvent>(entry.record);
    EXPECT_GE(event.time.unix_ms, last);
    last = event.time.unix_ms;
  }
}

TEST_F(WriterTest, AnswersAllThatIsQueuedBeforeItStops) {
  start({.queue_commands_max = 100, .batch_commands_max = 2});
  Gate gate;
  log_->on_append(gate.as_fault());
  std::vector<std::uint64_t> tokens{submit(create("c0"))};
  gate.wait_until_entered();
  for (const char* name : {"c1", "c2", "c3", "c4", "c5"}) tokens.push_back(submit(create(name)));
  auto stopped = std::async(std::launch::async, [&] { writer_->stop(); });
  gate.open();
  ASSERT_EQ(stopped.wait_for(answer_wait_max), std::future_status::ready);
  EXPECT_EQ(replies_.count(), tokens.size());
  for (const auto token : tokens) EXPECT_TRUE(is<ContactAnswer>(outcome_of(token)));
  EXPECT_EQ(writer_->submit({org("acme"), create("late"), "k", "r", {}, &replies_, 99}),
            Refusal::unavailable);
}

// Invariant 1: between the commit and the fold, nobody is told anything.
TEST_F(WriterTest, AnswersOnlyAfterTheFold) {
  start();
  Gate gate;
  const std::uint64_t end = log_end();
  std::atomic<bool> passed = false;
  log_->on_read([&](LogSlice& slice) {
    if (slice.next_offset > end && !passed.exchange(true)) gate.pass();
  });
  const auto token = submit(create("ann"));
  gate.wait_until_entered();
  EXPECT_GT(log_end(), end);
  EXPECT_EQ(replies_.count(), 0U);
  EXPECT_EQ(stored("ann"), nullptr);
  gate.open();
  EXPECT_TRUE(is<ContactAnswer>(outcome_of(token)));
  EXPECT_NE(stored("ann"), nullptr);
  stop();  // the log looks at what is on this stack
}

TEST_F(WriterTest, ServesManyThreads) {
  constexpr int threads = 4;
  constexpr int each = 50;
  start();
  std::vector<std::future<void>> clients;
  clients.reserve(threads);
  std::vector<Replies> replies(threads);
  for (int t = 0; t < threads; ++t) {
    clients.push_back(std::async(std::launch::async, [&, t] {
      for (std::uint64_t i = 1; i <= each; ++i) {
        const std::string name = "t" + std::to_string(t) + "x" + std::to_string(i) + "x";
        Replies& sink = replies[static_cast<std::size_t>(t)];
        EXPECT_EQ(
            writer_->submit(
                {org("acme"), domain::CreateContact{contact_id(name), {}}, "k", "r", {}, &sink, i}),
            std::nullopt);
        writer_->wake();
        EXPECT_TRUE(as<ContactAnswer>(sink.wait_for(i)).created);
        EXPECT_TRUE(store_->contact_row(org("acme"), contact_id(name)).has_value());
      }
    }));
  }
  for (auto& client : clients) client.get();
  EXPECT_EQ(log_end(), 1U + threads * each);
  EXPECT_EQ(lines_of(*store_), folded_anew());
}

}  // namespace
}  // namespace contactd::test
