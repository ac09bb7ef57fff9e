#include "infra/projector.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <utility>

#include "infra/errors.hpp"
#include "infra/fold_log.hpp"
#include "tests/infra/writer_fixture.hpp"
#include "tests/support/fold_rest.hpp"

namespace contactd::test {
namespace {

using namespace contactd::infra;
using projections::Admission;
using projections::Checkpoint;

LogBuilder many_created(int count) {
  LogBuilder builder;
  for (int i = 0; i < count; ++i) {
    builder.then(created(contact_id("c" + std::to_string(i) + "x")));
  }
  return builder;
}

// A projector over a log that others write.
class ProjectorTest : public WriterTest {
 protected:
  ProjectorTest() { open(); }

  Projector projector() { return Projector{0, *log_, *store_, *metrics_}; }
  // A log that has what it never shows.
  void hide_the_log() {
    write_to(*log_, many_created(3).log);
    log_->on_read([](LogSlice& slice) { slice = {}; });
  }
};

TEST_F(ProjectorTest, CatchesUpOverManySlices) {
  write_to(*log_, many_created(2'500).log);
  Projector catching_up = projector();
  std::size_t told = 0;
  const auto count = [&](const auto&, const projections::FoldBatch::Result& result) {
    EXPECT_EQ(result.admission, Admission::current);
    ++told;
  };
  fold_rest(catching_up, count);
  EXPECT_EQ(told, 2'501U);
  EXPECT_EQ(catching_up.checkpoint(), store_->checkpoint(0));
  EXPECT_EQ(lines_of(*store_), folded_anew());
}

// Far behind, it reads ahead; what goes wrong there is told where it was reached, and not before.
TEST_F(ProjectorTest, GoesOnWhereReadingAheadFailed) {
  write_to(*log_, many_created(6'000).log);
  Projector catching_up = projector();
  for (std::size_t good = 0; good < 3; ++good) {
    const auto reads = std::make_shared<std::atomic<std::size_t>>(0);
    log_->on_read([reads, good](LogSlice&) {
      if ((*reads)++ == good) throw LogUnavailable("a disk");
    });
    const std::uint64_t before = catching_up.checkpoint().next_offset;
    EXPECT_THROW(fold_rest(catching_up), LogUnavailable);
    EXPECT_EQ(catching_up.checkpoint().next_offset > before, good > 0);
    EXPECT_EQ(catching_up.checkpoint(), store_->checkpoint(0));
  }
  log_->on_read(nullptr);
  fold_rest(catching_up);
  EXPECT_EQ(lines_of(*store_), folded_anew());
}

TEST_F(ProjectorTest, StopsBeforeAnEventThatBreaksTheLogFarAhead) {
  LogBuilder builder = many_created(3'000);
  builder.then(domain::ContactDeleted{contact_id("bob"), 2});
  write_to(*log_, builder.log);
  Projector broken = projector();
  for (int i = 0; i < 2; ++i) {
    EXPECT_THROW(fold_rest(broken), projections::BrokenLog);
    EXPECT_EQ(broken.checkpoint().next_offset, 3'001U) << "all that comes before is folded";
    EXPECT_EQ(broken.checkpoint(), store_->checkpoint(0));
  }
}

// A writer that hears of a batch of its own decides the next one on what the batch has led to, also
// where so much was read at once that the reading has got ahead of the fold.
TEST_F(ProjectorTest, HasConfirmedWhatItTellsOf) {
  LogBuilder builder;
  builder.then(created(contact_id("ann")));
  builder.log.reserve(2 * slice_records_max);
  while (builder.log.size() < slice_records_max) {
    builder.then(created(contact_id("c" + std::to_string(builder.log.size()) + "x")));
  }
  builder.then(domain::ContactUpdated{contact_id("ann"), 2, {first_tags({"a"})}});
  write_to(*log_, builder.log);
  Projector reading_ahead = projector();
  ASSERT_TRUE(reading_ahead.fold_next([](const auto&, const auto&) {}));
  const auto version = [&] {
    return reading_ahead.confirmed().contact(org("acme"), contact_id("ann"))->contact.version;
  };
  ASSERT_EQ(version(), 1U) << "as one that decides asks for it, and so it is remembered";
  bool told = false;
  ASSERT_TRUE(reading_ahead.fold_next([&](const domain::RecordedEvent& event, const auto&) {
    if (!std::holds_alternative<domain::ContactUpdated>(event.event)) return;
    told = true;
    EXPECT_EQ(version(), 2U);
  }));
  EXPECT_TRUE(told);
}

// Changes that meet: of few contacts, an email that goes from one to the other, some deleted.
std::vector<domain::RecordedEvent> changes_that_meet(std::size_t count) {
  Random random{test_seed()};
  RandomLog source{random};
  while (source.log().size() < count) source.run(500);
  return source.log();
}

TEST_F(ProjectorTest, FoldsFarAheadToWhatSliceBySliceGives) {
  SCOPED_TRACE(seed_note(test_seed()));
  write_to(*log_, changes_that_meet(7'000));
  Projector far = projector();
  bool held_back = false;
  while (far.fold_far()) {
    EXPECT_EQ(far.checkpoint(), store_->checkpoint(0));
    held_back = held_back || far.position() > far.checkpoint().next_offset;
  }
  EXPECT_TRUE(held_back);
  EXPECT_EQ(far.position(), log_->end_offset(0));
  EXPECT_EQ(far.checkpoint(), store_->checkpoint(0));
  EXPECT_EQ(far.position(), far.checkpoint().next_offset);
  EXPECT_EQ(lines_of(*store_), folded_anew());
}

TEST_F(ProjectorTest, KeepsWhatItFoldedFarAheadOnceItIsSettled) {
  SCOPED_TRACE(seed_note(test_seed()));
  write_to(*log_, changes_that_meet(7'000));
  {
    Projector dropped = projector();
    dropped.fold_far();
    dropped.fold_far();
    EXPECT_GT(dropped.position(), dropped.checkpoint().next_offset);
  }
  EXPECT_EQ(store_->checkpoint(0), Checkpoint{});
  Projector stopped = projector();
  stopped.fold_far();
  stopped.fold_far();
  stopped.settle();
  EXPECT_EQ(store_->checkpoint(0).next_offset, stopped.position());
  Projector next = projector();
  EXPECT_EQ(next.position(), stopped.position());
  while (next.fold_far()) continue;
  EXPECT_EQ(lines_of(*store_), folded_anew());
}

TEST_F(ProjectorTest, FoldsUpToWhatStoppedItFarAhead) {
  LogBuilder builder = many_created(3'000);
  builder.then(domain::ContactDeleted{contact_id("bob"), 2});
  write_to(*log_, builder.log);
  Projector broken = projector();
  const auto fold_all = [&] {
    while (broken.fold_far()) continue;
  };
  for (int i = 0; i < 2; ++i) {
    EXPECT_THROW(fold_all(), projections::BrokenLog);
    EXPECT_EQ(broken.position(), 3'001U);
    EXPECT_EQ(store_->checkpoint(0).next_offset, 3'001U);
    EXPECT_EQ(broken.checkpoint(), store_->checkpoint(0));
  }
}

TEST_F(ProjectorTest, GoesOnSliceBySliceWhereALargeWriteFailed) {
  SCOPED_TRACE(seed_note(test_seed()));
  write_to(*log_, changes_that_meet(7'000));
  Projector far = projector();
  far.fold_far();
  // In the way of the next files, whatever their numbers.
  constexpr int files = 20;
  const auto in_the_way = [&](int number) {
    return store_path() / ("folded-" + std::to_string(number) + ".sst");
  };
  for (int i = 1; i <= files; ++i) std::filesystem::create_directory(in_the_way(i));
  const auto fold_all = [&] {
    while (far.fold_far()) continue;
  };
  EXPECT_THROW(fold_all(), StoreUnavailable);
  EXPECT_EQ(store_->checkpoint(0), Checkpoint{});
  EXPECT_EQ(far.position(), 0U);
  for (int i = 1; i <= files; ++i) std::filesystem::remove(in_the_way(i));
  while (far.fold_far()) EXPECT_EQ(far.position(), far.checkpoint().next_offset);
  EXPECT_EQ(lines_of(*store_), folded_anew());
}

TEST_F(ProjectorTest, TellsOfAnEventOnlyOnceItIsVisible) {
  LogBuilder builder;
  builder.then(created(contact_id("ann")));
  write_to(*log_, builder.log);
  const auto check = [&](const domain::RecordedEvent&, const auto& result) {
    EXPECT_EQ(store_->checkpoint(0).next_offset, 2U);
    if (result.contact != nullptr) {
      EXPECT_EQ(store_->contact_row(org("acme"), contact_id("ann")), result.contact->row);
    }
  };
  Projector following = projector();
  fold_rest(following, check);
  EXPECT_EQ(following.position(), 2U);
}

// Elsewhere it is what a fenced writer has left behind (TellsOfWhatItDidNotApply).
TEST_F(ProjectorTest, StopsAtAMisplacedEventOfALogThatHasOneWriter) {
  LogBuilder builder = many_created(3);
  std::swap(builder.log[1], builder.log[2]);
  write_to(*log_, builder.log);
  Projector alone{0, log_->real(), *store_, *metrics_};
  EXPECT_THROW(fold_rest(alone), projections::BrokenLog);
  EXPECT_EQ(store_->checkpoint(0).next_offset, 1U);
}

TEST_F(ProjectorTest, GoesOnFromItsCheckpoint) {
  LogBuilder builder;
  builder.then(created(contact_id("ann"))).then(created(contact_id("bob")));
  write_to(*log_, builder.log);
  fold_some(*store_, builder.log, 2);
  std::vector<std::uint64_t> sequences;
  Projector following = projector();
  fold_rest(following, [&](const domain::RecordedEvent& event, const auto&) {
    sequences.push_back(event.stamp.sequence);
  });
  EXPECT_EQ(sequences, std::vector<std::uint64_t>{2});
}

TEST_F(ProjectorTest, TellsOfWhatItDidNotApply) {
  LogBuilder builder;
  const domain::Stamp next = builder.next_stamp();
  builder.stray(created(contact_id("ann")), {next.claim + 5, 1});
  builder.stray(created(contact_id("ann")), {next.claim, 2});
  write_to(*log_, builder.log);
  std::vector<Admission> admissions;
  Projector following = projector();
  fold_rest(following,
            [&](const auto&, const auto& result) { admissions.push_back(result.admission); });
  EXPECT_EQ(admissions,
            (std::vector{Admission::current, Admission::stale_claim, Admission::out_of_sequence}));
  EXPECT_EQ(metrics_->fold_stale_claim.Value(), 1);
  EXPECT_EQ(metrics_->fold_out_of_sequence.Value(), 1);
  EXPECT_EQ(stored("ann"), nullptr);
}

TEST_F(ProjectorTest, FoldingALogStopsWhenToldTo) {
  hide_the_log();
  std::stop_source stop;
  auto done = std::async(std::launch::async, [&] {
    fold_log(*log_, 0, *store_, 4, [](std::uint64_t) {}, stop.get_token());
  });
  stop.request_stop();
  ASSERT_EQ(done.wait_for(answer_wait_max), std::future_status::ready);
  done.get();
  EXPECT_EQ(store_->checkpoint(0), Checkpoint{});
}

TEST_F(ProjectorTest, FoldingALogLosesPatienceWhereItShowsNothing) {
  hide_the_log();
  log_->be_impatient(true);
  EXPECT_THROW(fold_log(*log_, 0, *store_, 4, [](std::uint64_t) {}), LogUnavailable);
}

TEST_F(ProjectorTest, LeavesItsCheckpointBeforeWhatBreaksTheLog) {
  LogBuilder builder;
  builder.then(created(contact_id("ann"))).then(domain::ContactDeleted{contact_id("bob"), 2});
  write_to(*log_, builder.log);
  Projector broken = projector();
  for (int i = 0; i < 2; ++i) {
    EXPECT_THROW(fold_rest(broken), projections::BrokenLog);
    EXPECT_EQ(broken.checkpoint(), store_->checkpoint(0));
    EXPECT_EQ(broken.checkpoint().next_offset, 2U);
    EXPECT_NE(stored("ann"), nullptr);
  }
}

TEST_F(ProjectorTest, ReadsMoreContactsThanItRemembers) {
  LogBuilder builder;
  builder.then(created(contact_id("ann")));
  write_to(*log_, builder.log);
  Projector following = projector();
  fold_rest(following);
  for (int i = 0; i < 10'000; ++i) {
    const auto nobody = contact_id("n" + std::to_string(i) + "x");
    ASSERT_EQ(following.confirmed().contact(org("acme"), nobody), nullptr);
  }
  EXPECT_NE(following.confirmed().contact(org("acme"), contact_id("ann")), nullptr);
}

TEST_F(ProjectorTest, ReadsTheConfirmedStateAsItChanges) {
  LogBuilder builder;
  builder.then(created(contact_id("ann")));
  builder.then(domain::ContactUpdated{contact_id("ann"), 2, {first_tags({"a"})}});
  write_to(*log_, builder.log);
  Projector following = projector();
  EXPECT_EQ(following.confirmed().contact(org("acme"), contact_id("ann")), nullptr);
  fold_rest(following);
  EXPECT_EQ(following.confirmed().contact(org("acme"), contact_id("ann"))->contact.version, 2U);
}

// The confirmed state as a reader finds it who is overtaken: what it read is an old state by then.
class OvertakenState final : public projections::StateReader {
 public:
  OvertakenState(const ReadStore& store, std::function<void()> overtake)
      : store_(store), overtake_(std::move(overtake)) {}

  std::shared_ptr<const projections::ContactView> contact(
      const domain::OrganizationId& organization, const domain::ContactId& contact) const override {
    auto old = store_.contact(organization, contact);
    if (overtake_) std::exchange(overtake_, nullptr)();
    return old;
  }
  std::optional<std::string> get(projections::Table table, std::string_view key) const override {
    return store_.get(table, key);
  }

 private:
  const ReadStore& store_;
  mutable std::function<void()> overtake_;
};

// Another writer's events may be folded while this one decides.
class ConfirmedStateTest : public ProjectorTest {
 protected:
  // What is remembered of a contact that is folded, and then told of, while it is read.
  std::shared_ptr<const projections::ContactView> remembered(
      const std::function<void(ConfirmedState&, const domain::RecordedEvent&)>& tell) {
    LogBuilder builder;
    builder.then(created(contact_id("ann")));
    write_to(*log_, builder.log);
    Projector following = projector();
    ConfirmedState* told = nullptr;
    const OvertakenState overtaken{*store_, [&] {
                                     fold_rest(following);
                                     tell(*told, builder.log.back());
                                   }};
    ConfirmedState confirmed{overtaken};
    told = &confirmed;
    EXPECT_EQ(confirmed.contact(org("acme"), contact_id("ann")), nullptr);
    return confirmed.contact(org("acme"), contact_id("ann"));
  }
};

TEST_F(ConfirmedStateTest, NeverRemembersWhatWasReadBeforeTheContactWasFolded) {
  EXPECT_NE(remembered([&](ConfirmedState& confirmed, const domain::RecordedEvent& event) {
              confirmed.remember(event, store_->contact(org("acme"), contact_id("ann")));
            }),
            nullptr);
}

TEST_F(ConfirmedStateTest, NeverRemembersWhatWasReadBeforeAllWasForgotten) {
  EXPECT_NE(remembered([](ConfirmedState& confirmed, const auto&) { confirmed.forget_all(); }),
            nullptr);
}

}  // namespace
}  // namespace contactd::test
