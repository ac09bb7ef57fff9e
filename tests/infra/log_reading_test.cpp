#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "infra/applied_events.hpp"
#include "infra/embedded_event_log.hpp"
#include "infra/errors.hpp"
#include "infra/fold_log.hpp"
#include "infra/log_until.hpp"
#include "projections/event_chain.hpp"
#include "tests/infra/stored.hpp"
#include "tests/support/temporary_directory.hpp"

// Reading a log apart from the writer: what holds, up to where, and beside the process that writes.
namespace contactd::test {
namespace {

using namespace contactd::infra;
using domain::RecordedEvent;

constexpr std::chrono::seconds read_wait_max{30};
constexpr int rounds = 6;  // each with another place in the log

// A log that is in memory. Offsets are indices; but with a `gap`, where Kafka would have a record
// of its own, the events from there on are one offset later.
class RecordedLog final : public LogReader {
 public:
  static constexpr std::uint64_t no_gap = std::numeric_limits<std::uint64_t>::max();

  explicit RecordedLog(std::vector<RecordedEvent> events, std::uint64_t gap = no_gap)
      : events_(std::move(events)), gap_(gap) {}

  std::uint32_t partition_count() const override { return 1; }
  LogSlice read(std::uint32_t, std::uint64_t from, std::size_t count_max) override {
    LogSlice slice{{}, from};
    for (std::uint64_t i = from > gap_ ? from - 1 : from;
         i < events_.size() && slice.entries.size() < count_max; ++i) {
      slice.entries.push_back({offset_of(i), events_[i], projections::canonical_bytes(events_[i])});
      slice.next_offset = offset_of(i) + 1;
    }
    return slice;
  }
  bool wait(std::uint32_t, std::uint64_t from, std::chrono::milliseconds) override {
    return from < end_offset(0);
  }
  std::uint64_t end_offset(std::uint32_t) override { return offset_of(events_.size() - 1) + 1; }
  bool has_one_writer() const override { return false; }

 private:
  std::uint64_t offset_of(std::uint64_t index) const { return index < gap_ ? index : index + 1; }

  const std::vector<RecordedEvent> events_;
  const std::uint64_t gap_;
};

class LogReading : public testing::Test {
 protected:
  LogReading() { source_.run(600); }

  const std::vector<RecordedEvent>& events() const { return source_.log(); }
  // Which of them hold.
  std::vector<std::uint64_t> holding() const {
    std::vector<std::uint64_t> offsets;
    projections::Checkpoint checkpoint;
    for (std::uint64_t i = 0; i < events().size(); ++i) {
      if (admit(checkpoint, i, events()[i]) == projections::Admission::current) {
        offsets.push_back(i);
      }
    }
    return offsets;
  }

  const std::uint64_t seed_ = test_seed();
  const testing::ScopedTrace trace_{__FILE__, __LINE__, seed_note(seed_)};
  Random random_{seed_};
  RandomLog source_{random_};
};

TEST_F(LogReading, GivesWhatHoldsFromAnyOffsetOn) {
  RecordedLog log{events()};
  const auto all = holding();
  ASSERT_LT(all.size(), events().size());
  for (std::uint64_t from = 0; from <= events().size(); ++from) {
    AppliedEvents applied{log, 0, from};
    std::vector<std::uint64_t> offsets;
    while (applied.next() != nullptr) {
      const AppliedEvent event = applied.take();
      EXPECT_TRUE(event.event == events()[event.offset]);
      offsets.push_back(event.offset);
    }
    EXPECT_EQ(applied.next_offset(), events().size());
    const auto expected = std::lower_bound(all.begin(), all.end(), from);
    ASSERT_EQ(offsets, std::vector<std::uint64_t>(expected, all.end())) << from;
  }
}

TEST_F(LogReading, EndsAtAnEventThatHoldsAndAtNoOther) {
  for (int round = 0; round < rounds; ++round) {
    const std::uint64_t last = random_.below(events().size());
    RecordedLog log{events()};
    LogUntil until{log, [&](std::uint64_t offset, const RecordedEvent&) { return offset > last; }};
    const TemporaryDirectory directory;
    const auto store = open_read_store(directory.path() / "until");
    fold_log(until, 0, *store, log.end_offset(0), [](std::uint64_t) {});

    // What doesn't hold may be passed over or not: it changes nothing.
    const std::uint64_t end = store->checkpoint(0).next_offset;
    EXPECT_GT(end, last);
    for (const std::uint64_t offset : holding()) EXPECT_FALSE(offset > last && offset < end);
    const auto expected = open_read_store(directory.path() / "expected");
    fold_some(*expected, events(), end);
    EXPECT_EQ(lines_of(*store), lines_of(*expected));
  }
}

// As the fold stops there: what is read from the log by itself is no more than what it proves.
TEST_F(LogReading, GivesAllThatComesBeforeABreakAndEndsThere) {
  const auto all = holding();
  for (int round = 0; round < rounds; ++round) {
    const std::uint64_t changed = random_.pick(all);
    if (!events()[changed].chain_hash) continue;
    SCOPED_TRACE(changed);
    auto forged = events();
    forged[changed].actor += "x";
    RecordedLog log{std::move(forged)};
    AppliedEvents applied{log, 0, 0};
    for (const std::uint64_t offset : all) {
      if (offset == changed) break;
      ASSERT_NE(applied.next(), nullptr);
      EXPECT_EQ(applied.take().offset, offset);
    }
    for (int again = 0; again < 2; ++again) EXPECT_THROW(applied.next(), projections::BrokenLog);
  }
}

TEST_F(LogReading, FoldsUpToAnOffsetAndOnFromThere) {
  RecordedLog log{events()};
  const TemporaryDirectory directory;
  const auto store = open_read_store(directory.path() / "store");
  for (std::uint64_t end = 0; end < events().size();) {
    end = std::min<std::uint64_t>(events().size(), end + 1 + random_.below(200));
    fold_log(log, 0, *store, end, [](std::uint64_t) {});
    EXPECT_EQ(store->checkpoint(0).next_offset, end);
  }
  const auto expected = open_read_store(directory.path() / "expected");
  fold_rest(*expected, events());
  EXPECT_EQ(lines_of(*store), lines_of(*expected));
}

// Kafka's own records leave gaps, also right before what is no longer wanted.
TEST_F(LogReading, EndsBeforeAGap) {
  const auto all = holding();
  for (int round = 0; round < rounds; ++round) {
    const std::uint64_t gap = random_.pick(all);
    if (gap == 0 || std::holds_alternative<domain::WriterClaimed>(events()[gap].event)) continue;
    SCOPED_TRACE(gap);
    const TemporaryDirectory directory;
    const auto expected = open_read_store(directory.path() / "expected");
    fold_some(*expected, events(), gap);

    RecordedLog log{events(), gap};
    LogUntil until{log, [&](std::uint64_t offset, const RecordedEvent&) { return offset >= gap; }};
    const auto one = open_read_store(directory.path() / "until");
    fold_log(until, 0, *one, log.end_offset(0), [](std::uint64_t) {});
    EXPECT_EQ(lines_of(*one), lines_of(*expected));

    const auto other = open_read_store(directory.path() / "before");
    fold_log(log, 0, *other, gap + 1, [](std::uint64_t) {});
    EXPECT_EQ(lines_of(*other), lines_of(*expected));
  }
}

// Events of a claim, big enough that the log's memory is written out several times.
TEST(EmbeddedLogReader, SeesAllThatIsWrittenBesideIt) {
  constexpr std::size_t batches = 60;
  constexpr std::size_t batch_events = 64;
  constexpr std::size_t event_bytes = 16'000;
  const TemporaryDirectory directory;
  const auto log = open_embedded_event_log(directory.path() / "log");
  const Claim claim = log->claim(0, claim_proposal());
  const auto reader = open_embedded_log_reader(directory.path() / "log");
  std::thread writer{[&] {
    std::uint64_t sequence = 1;
    for (std::size_t i = 0; i < batches; ++i) {
      std::vector<RecordedEvent> batch(batch_events);
      for (RecordedEvent& event : batch) {
        event.stamp = {claim.epoch, sequence++};
        event.organization = org("acme");
        event.event = domain::ApiKeyRevoked{std::string(event_bytes, 'k')};
      }
      EXPECT_EQ(log->append(claim, batch), AppendResult::committed);
    }
  }};
  AppliedEvents applied{*reader, 0, 0};
  const auto deadline = std::chrono::steady_clock::now() + read_wait_max;
  std::uint64_t seen = 0;
  while (seen < 1 + batches * batch_events && std::chrono::steady_clock::now() < deadline) {
    if (applied.next() == nullptr) {
      reader->wait(0, applied.next_offset(), std::chrono::milliseconds{100});
      continue;
    }
    EXPECT_EQ(applied.take().offset, seen++);
  }
  writer.join();
  EXPECT_EQ(seen, 1 + batches * batch_events);
  EXPECT_EQ(reader->end_offset(0), log->end_offset(0));
}

TEST(EmbeddedLogReader, LeavesNothingBehindAndNeedsALog) {
  const TemporaryDirectory directory;
  EXPECT_THROW(open_embedded_log_reader(directory.path()), LogUnavailable);
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

}  // namespace
}  // namespace contactd::test
