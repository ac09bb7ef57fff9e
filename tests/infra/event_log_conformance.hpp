#pragma once

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <thread>
#include <vector>

#include "infra/event_log.hpp"
#include "tests/projections/log_builder.hpp"

// What every EventLog must do; infra/event_log.hpp says it in words. To run it against a log:
//
//   using Embedded = testing::Types<EmbeddedLogUnderTest>;
//   INSTANTIATE_TYPED_TEST_SUITE_P(Embedded, EventLogConformance, Embedded);
//
// The type is made anew, with an empty log, for each test. It has
//
//   EventLog& log();    the log
//   EventLog& rival();  the same log as another writer sees it; may be the same object
//   void reopen();      closes the log and opens it again; log() and rival() are then new ones
//
// A log with several partitions must pass for partition 0.
namespace contactd::test {

// Longer than anything here takes on a machine that is busy; only a failure waits for it.
inline constexpr std::chrono::seconds conformance_wait_max{30};

template <class LogUnderTest>
class EventLogConformance : public testing::Test {
 protected:
  static constexpr std::uint32_t partition = 0;

  infra::EventLog& log() { return under_test_.log(); }
  infra::EventLog& rival() { return under_test_.rival(); }
  void reopen() { under_test_.reopen(); }

  infra::Claim claim(infra::EventLog& by, std::string writer = "w") {
    sequence_ = 1;
    return by.claim(partition, claim_proposal(std::move(writer)));
  }

  // The claim's next `count` events, of about `bytes` each.
  std::vector<domain::RecordedEvent> batch(const infra::Claim& claim, std::size_t count,
                                           std::size_t bytes = 10) {
    std::vector<domain::RecordedEvent> events;
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t n = sequence_++;
      events.push_back({domain::EventId::from(noon.unix_ms, {n, n}),
                        after(static_cast<std::int64_t>(n)),
                        org("acme"),
                        "key1",
                        "request",
                        {},
                        {claim.epoch, n},
                        domain::ApiKeyRevoked{std::string(bytes, 'k')}});
    }
    return events;
  }

  // Everything from `from` on, a few at a time, until `count` records have come.
  std::vector<infra::LogEntry> read(std::size_t count, std::uint64_t from = 0,
                                    std::size_t count_max = 100) {
    std::vector<infra::LogEntry> all;
    const auto deadline = std::chrono::steady_clock::now() + conformance_wait_max;
    while (all.size() < count && std::chrono::steady_clock::now() < deadline) {
      log().wait(partition, from, std::chrono::milliseconds{100});
      const infra::LogSlice slice = log().read(partition, from, count_max);
      EXPECT_LE(slice.entries.size(), count_max);
      EXPECT_GE(slice.next_offset, from);
      for (const infra::LogEntry& entry : slice.entries) {
        EXPECT_GE(entry.offset, from);
        EXPECT_LT(entry.offset, slice.next_offset);
        if (!all.empty()) {
          EXPECT_GT(entry.offset, all.back().offset);
        }
        all.push_back(entry);
      }
      from = slice.next_offset;
    }
    EXPECT_EQ(all.size(), count);
    return all;
  }
  static domain::RecordedEvent event_of(const infra::LogEntry& entry) {
    if (const auto* event = std::get_if<domain::RecordedEvent>(&entry.record)) return *event;
    ADD_FAILURE() << "no event at offset " << entry.offset;
    return {};
  }
  // Whether the log, but for its claims, is `expected` in that order.
  void expect_events(const std::vector<domain::RecordedEvent>& expected, std::size_t claims) {
    std::vector<domain::RecordedEvent> found;
    for (const infra::LogEntry& entry : read(expected.size() + claims)) {
      domain::RecordedEvent event = event_of(entry);
      if (!std::holds_alternative<domain::WriterClaimed>(event.event)) {
        found.push_back(std::move(event));
      }
    }
    EXPECT_TRUE(found == expected);
  }

 private:
  LogUnderTest under_test_;
  std::uint64_t sequence_ = 1;
};

TYPED_TEST_SUITE_P(EventLogConformance);

TYPED_TEST_P(EventLogConformance, BeginsEmpty) {
  EXPECT_GE(this->log().partition_count(), 1U);
  EXPECT_EQ(this->log().end_offset(this->partition), 0U);
  const infra::LogSlice slice = this->log().read(this->partition, 0, 10);
  EXPECT_TRUE(slice.entries.empty());
  EXPECT_EQ(slice.next_offset, 0U);
  EXPECT_FALSE(this->log().wait(this->partition, 0, std::chrono::milliseconds{1}));
}

TYPED_TEST_P(EventLogConformance, AClaimIsARecordAtItsEpoch) {
  const infra::Claim first = this->claim(this->log(), "one");
  const infra::Claim second = this->claim(this->log(), "two");
  EXPECT_EQ(first.partition, this->partition);
  EXPECT_GT(second.epoch, first.epoch);
  const auto entries = this->read(2);
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].offset, first.epoch);
  EXPECT_EQ(entries[1].offset, second.epoch);
  for (const std::size_t i : {0U, 1U}) {
    const domain::RecordedEvent proposed = claim_proposal(i == 0 ? "one" : "two");
    const domain::RecordedEvent event = this->event_of(entries[i]);
    EXPECT_EQ(event.event, proposed.event);
    EXPECT_EQ(event.id, proposed.id);
    EXPECT_EQ(event.time, proposed.time);
  }
}

TYPED_TEST_P(EventLogConformance, GivesBackWhatWasAppended) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  RandomLog source{random};
  source.run(120);
  const infra::Claim claim = this->claim(this->log());
  std::vector<domain::RecordedEvent> events;
  for (domain::RecordedEvent event : source.log()) {
    if (std::holds_alternative<domain::WriterClaimed>(event.event)) continue;
    event.stamp = {claim.epoch, events.size() + 1};
    events.push_back(std::move(event));
  }
  for (std::size_t from = 0; from < events.size();) {
    const std::size_t count = std::min(events.size() - from, 1 + random.below(20));
    ASSERT_EQ(this->log().append(claim, std::span{events}.subspan(from, count)),
              infra::AppendResult::committed);
    from += count;
  }
  this->expect_events(events, 1);
}

TYPED_TEST_P(EventLogConformance, ReadsFromAnyPositionAtMostSoMany) {
  const infra::Claim claim = this->claim(this->log());
  ASSERT_EQ(this->log().append(claim, this->batch(claim, 9)), infra::AppendResult::committed);
  const auto all = this->read(10);
  for (std::size_t from = 0; from < all.size(); ++from) {
    for (const std::size_t count_max : {1U, 2U, 7U, 100U}) {
      const auto rest = this->read(all.size() - from, all[from].offset, count_max);
      for (std::size_t i = 0; i < rest.size(); ++i) {
        EXPECT_EQ(rest[i].offset, all[from + i].offset);
        EXPECT_TRUE(this->event_of(rest[i]) == this->event_of(all[from + i]));
      }
    }
  }
  const std::uint64_t end = this->log().end_offset(this->partition);
  EXPECT_GT(end, all.back().offset);
  const infra::LogSlice nothing = this->log().read(this->partition, end, 10);
  EXPECT_TRUE(nothing.entries.empty());
  EXPECT_EQ(nothing.next_offset, end);
}

TYPED_TEST_P(EventLogConformance, TakesBigBatches) {
  const infra::Claim claim = this->claim(this->log());
  std::vector<domain::RecordedEvent> all;
  for (int i = 0; i < 4; ++i) {
    const auto events = this->batch(claim, 256, 2'000);
    ASSERT_EQ(this->log().append(claim, events), infra::AppendResult::committed);
    all.insert(all.end(), events.begin(), events.end());
  }
  const auto huge = this->batch(claim, 1, 300'000);
  ASSERT_EQ(this->log().append(claim, huge), infra::AppendResult::committed);
  all.insert(all.end(), huge.begin(), huge.end());
  this->expect_events(all, 1);
}

TYPED_TEST_P(EventLogConformance, WaitIsWokenByAnAppend) {
  const infra::Claim claim = this->claim(this->log());
  const std::uint64_t end = this->read(1).back().offset + 1;
  EXPECT_TRUE(this->log().wait(this->partition, claim.epoch, conformance_wait_max));
  std::promise<void> waiting;
  auto woken = std::async(std::launch::async, [&] {
    waiting.set_value();
    return this->log().wait(this->partition, end, 2 * conformance_wait_max);
  });
  waiting.get_future().wait();
  ASSERT_EQ(this->log().append(claim, this->batch(claim, 1)), infra::AppendResult::committed);
  ASSERT_EQ(woken.wait_for(conformance_wait_max), std::future_status::ready);
  this->read(1, end);
}

TYPED_TEST_P(EventLogConformance, FencesAnEarlierClaim) {
  const infra::Claim old = this->claim(this->log(), "old");
  const auto before = this->batch(old, 2);
  ASSERT_EQ(this->log().append(old, before), infra::AppendResult::committed);
  const auto late = this->batch(old, 3);
  const infra::Claim current = this->claim(this->rival(), "new");
  EXPECT_EQ(this->log().append(old, late), infra::AppendResult::fenced);
  const auto after = this->batch(current, 2);
  ASSERT_EQ(this->rival().append(current, after), infra::AppendResult::committed);
  auto expected = before;
  expected.insert(expected.end(), after.begin(), after.end());
  this->expect_events(expected, 2);
}

TYPED_TEST_P(EventLogConformance, LetsTheOldWriterClaimAgain) {
  const infra::Claim old = this->claim(this->log(), "old");
  const infra::Claim rival = this->claim(this->rival(), "rival");
  EXPECT_EQ(this->log().append(old, this->batch(old, 1)), infra::AppendResult::fenced);
  const infra::Claim again = this->claim(this->log(), "again");
  const auto events = this->batch(again, 2);
  ASSERT_EQ(this->log().append(again, events), infra::AppendResult::committed);
  EXPECT_EQ(this->rival().append(rival, this->batch(rival, 1)), infra::AppendResult::fenced);
  this->expect_events(events, 3);
}

TYPED_TEST_P(EventLogConformance, KeepsEverythingWhenReopened) {
  const infra::Claim old = this->claim(this->log());
  auto events = this->batch(old, 5);
  ASSERT_EQ(this->log().append(old, events), infra::AppendResult::committed);
  const auto late = this->batch(old, 1);
  const auto before = this->read(6);
  this->reopen();
  const auto after = this->read(6);
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(after[i].offset, before[i].offset);
    EXPECT_TRUE(this->event_of(after[i]) == this->event_of(before[i]));
  }
  const infra::Claim current = this->claim(this->log());
  EXPECT_GT(current.epoch, after.back().offset);
  EXPECT_EQ(this->log().append(old, late), infra::AppendResult::fenced);
  const auto more = this->batch(current, 2);
  ASSERT_EQ(this->log().append(current, more), infra::AppendResult::committed);
  events.insert(events.end(), more.begin(), more.end());
  this->expect_events(events, 2);
}

// A reader beside the writer sees a prefix of the log, in order, at every moment.
TYPED_TEST_P(EventLogConformance, IsReadWhileItIsWritten) {
  constexpr std::size_t batches = 60;
  constexpr std::size_t batch_size = 7;
  const infra::Claim claim = this->claim(this->log());
  auto reader =
      std::async(std::launch::async, [&] { return this->read(1 + batches * batch_size, 0, 5); });
  std::vector<domain::RecordedEvent> all;
  for (std::size_t i = 0; i < batches; ++i) {
    const auto events = this->batch(claim, batch_size);
    ASSERT_EQ(this->log().append(claim, events), infra::AppendResult::committed);
    all.insert(all.end(), events.begin(), events.end());
  }
  const auto seen = reader.get();
  ASSERT_EQ(seen.size(), all.size() + 1);
  for (std::size_t i = 0; i < all.size(); ++i) {
    ASSERT_TRUE(this->event_of(seen[i + 1]) == all[i]) << i;
  }
}

REGISTER_TYPED_TEST_SUITE_P(EventLogConformance, BeginsEmpty, AClaimIsARecordAtItsEpoch,
                            GivesBackWhatWasAppended, ReadsFromAnyPositionAtMostSoMany,
                            TakesBigBatches, WaitIsWokenByAnAppend, FencesAnEarlierClaim,
                            LetsTheOldWriterClaimAgain, KeepsEverythingWhenReopened,
                            IsReadWhileItIsWritten);

}  // namespace contactd::test
