#include "infra/webhook_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "infra/webhook_dispatcher.hpp"
#include "tests/domain/samples.hpp"

namespace contactd::infra {
namespace {

using namespace contactd::test;

class Queue : public ::testing::Test {
 protected:
  void add(std::uint64_t offset, const domain::ContactId& contact) {
    feed[offset] = contact;
    queue.add({offset, contact, noon});
    queue.passed(offset + 1);
  }
  // Finds what is behind those that are done.
  void seek() {
    while (const auto* done = queue.seeking()) {
      auto next = feed.upper_bound(done->offset);
      while (next != feed.end() && next->second != done->contact) ++next;
      if (next == feed.end()) {
        queue.was_last(done->offset);
      } else {
        queue.followed_by(done->offset, {next->first, next->second, noon});
      }
    }
  }
  void done(std::uint64_t offset) {
    queue.done(offset);
    seek();
  }
  // The offset that is sent next; 0: none.
  std::uint64_t take(domain::Instant now = noon) {
    const auto* event = queue.take(now);
    return event == nullptr ? 0 : event->offset;
  }

  std::map<std::uint64_t, domain::ContactId> feed;
  WebhookQueue queue{1};
};

TEST_F(Queue, SendsAContactsEventsOneAfterTheOther) {
  add(1, ann);
  add(2, ann);
  add(3, bob);
  EXPECT_EQ(take(), 1U);
  EXPECT_EQ(take(), 3U);
  EXPECT_EQ(take(), 0U);
  done(1);
  EXPECT_EQ(take(), 2U);
}

TEST_F(Queue, AFailureHoldsBackThatContactAlone) {
  add(1, ann);
  add(2, ann);
  add(3, bob);
  take();
  queue.failed(1, after(5'000));
  EXPECT_EQ(queue.find(1)->attempts, 1U);
  EXPECT_EQ(take(), 3U);
  done(3);
  EXPECT_EQ(take(after(4'999)), 0U);
  EXPECT_EQ(queue.next_due(), after(5'000));
  EXPECT_EQ(take(after(5'000)), 1U);
  done(1);
  EXPECT_EQ(take(after(5'000)), 2U);
}

TEST_F(Queue, TellsWhatIsPendingBeforeWhatItHasPassed) {
  for (std::uint64_t offset = 1; offset <= 4; ++offset)
    add(offset, contact_id("c" + std::to_string(offset)));
  while (take() != 0) {
  }
  queue.done(1);
  queue.done(3);
  queue.failed(2, after(1));
  queue.passed(9);
  EXPECT_EQ(queue.next_offset(), 9U);
  EXPECT_EQ(queue.pending(), (std::vector<std::uint64_t>{2, 4}));
}

TEST_F(Queue, IsBounded) {
  std::uint64_t offset = 0;
  while (queue.has_room()) {
    ++offset;
    add(offset, contact_id("c" + std::to_string(1'000 + offset)));
  }
  EXPECT_EQ(offset, domain::webhook_pending_max);
  take();
  done(1);
  EXPECT_TRUE(queue.has_room());
}

TEST_F(Queue, HasRoomForOthersHoweverManyOfAContactWait) {
  constexpr std::uint64_t many = 2 * domain::webhook_pending_max;
  for (std::uint64_t offset = 1; offset <= many; ++offset) add(offset, ann);
  EXPECT_EQ(queue.size(), 1U);
  EXPECT_EQ(queue.pending(), std::vector<std::uint64_t>{1});
  add(many + 1, bob);
  EXPECT_EQ(take(), 1U);
  EXPECT_EQ(take(), many + 1);
}

TEST_F(Queue, KeepsWhatIsDonePendingUntilTheNextOfItsContactIsFound) {
  for (std::uint64_t offset = 1; offset <= 2; ++offset) add(offset, ann);
  take();
  queue.done(1);
  EXPECT_EQ(take(), 0U);
  EXPECT_EQ(queue.pending(), std::vector<std::uint64_t>{1});
  EXPECT_EQ(queue.seeking()->sought_to, 1U);
  queue.sought(1, 2);
  EXPECT_EQ(queue.seeking()->sought_to, 2U);
  seek();
  EXPECT_EQ(queue.pending(), std::vector<std::uint64_t>{2});
  take();
  queue.done(2);
  EXPECT_EQ(queue.seeking(), nullptr);  // as it was the last one that was added
  EXPECT_EQ(queue.size(), 0U);
}

TEST_F(Queue, TakesWhatIsDoneAlready) {
  WebhookQueue::Event settled{1, ann, noon};
  settled.sought_to = 1;
  queue.add(settled);
  EXPECT_EQ(queue.size(), 0U);
  settled.last_behind = 3;
  queue.add(settled);
  EXPECT_FALSE(queue.waits(1, ann));
  queue.followed_by(1, {3, ann, noon});
  EXPECT_EQ(take(), 3U);
}

TEST_F(Queue, TellsWhatWaits) {
  add(1, ann);
  add(2, bob);
  add(3, ann);
  EXPECT_TRUE(queue.waits(1, ann));
  EXPECT_TRUE(queue.waits(3, ann));
  EXPECT_FALSE(queue.waits(3, bob));
  EXPECT_FALSE(queue.waits(4, ann));
  take();
  queue.done(1);
  EXPECT_FALSE(queue.waits(1, ann));
  EXPECT_TRUE(queue.waits(3, ann));
}

TEST_F(Queue, HurriesWhatWaitsForItsTime) {
  add(1, ann);
  add(2, ann);
  take();
  queue.failed(1, after(hour_ms));
  EXPECT_TRUE(queue.hurry(2, ann, noon));  // it is behind the first one
  EXPECT_EQ(take(), 0U);
  EXPECT_TRUE(queue.hurry(1, ann, noon));
  EXPECT_EQ(take(), 1U);
  EXPECT_TRUE(queue.hurry(1, ann, noon));  // it is on its way
  EXPECT_EQ(take(), 0U);
  EXPECT_FALSE(queue.hurry(7, ann, noon));
}

TEST_F(Queue, AHurriedFailureCostsNoneOfTheSchedulesAttempts) {
  add(1, ann);
  take();
  queue.failed(1, after(hour_ms));
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(queue.hurry(1, ann, noon));
    EXPECT_TRUE(queue.hurry(1, ann, noon));  // once more, before it is sent
    EXPECT_EQ(take(), 1U);
    queue.failed_by_hand(1);
    EXPECT_EQ(queue.find(1)->attempts, 1U);
    EXPECT_EQ(queue.next_due(), after(hour_ms));
    EXPECT_EQ(take(after(hour_ms - 1)), 0U);
  }
  EXPECT_EQ(take(after(hour_ms)), 1U);
  queue.failed(1, after(2 * hour_ms));
  EXPECT_EQ(queue.find(1)->attempts, 2U);
  EXPECT_EQ(queue.next_due(), after(2 * hour_ms));
}

TEST_F(Queue, TakesBackWhatCouldNotBeSent) {
  add(1, ann);
  take();
  queue.untake(1);
  EXPECT_EQ(queue.find(1)->attempts, 0U);
  EXPECT_EQ(take(), 1U);
}

// Whatever fails and whenever: each contact's events are done in their order, each once.
TEST_F(Queue, KeepsTheOrderOfEachContactUnderRandomFailures) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  std::map<domain::ContactId, std::vector<std::uint64_t>> settled_of;
  std::vector<std::uint64_t> in_flight;
  std::uint64_t offset = 0;
  std::int64_t now = 0;
  constexpr std::uint64_t events = 2'000;
  while (offset < events || queue.size() > 0) {
    if (offset < events && queue.has_room()) {
      add(++offset, contact_id("c" + std::to_string(random.below(9))));
    }
    if (const std::uint64_t taken = take(after(now)); taken != 0) in_flight.push_back(taken);
    if (!in_flight.empty() && random.one_in(2)) {
      const std::size_t which = random.below(in_flight.size());
      const std::uint64_t settled = in_flight[which];
      in_flight.erase(in_flight.begin() + static_cast<std::ptrdiff_t>(which));
      if (random.one_in(3)) {
        queue.failed(settled, after(now + static_cast<std::int64_t>(random.below(50))));
      } else {
        settled_of[queue.find(settled)->contact].push_back(settled);
        done(settled);
      }
    }
    ++now;
  }
  std::size_t count = 0;
  for (const auto& [contact, offsets] : settled_of) {
    EXPECT_TRUE(std::is_sorted(offsets.begin(), offsets.end()));
    count += offsets.size();
  }
  EXPECT_EQ(count, events);
}

TEST(WebhookRetry, FollowsTheScheduleOfStandardWebhooks) {
  using namespace std::chrono;
  const std::vector<milliseconds> expected = {5s, 5min, 30min, 2h, 5h, 10h, 14h, 20h, 24h};
  for (unsigned failed = 1; failed <= expected.size(); ++failed) {
    EXPECT_EQ(webhook_retry_delay(failed, 1, 0), expected[failed - 1]);
    EXPECT_EQ(webhook_retry_delay(failed, 0.001, 0), expected[failed - 1] / 1'000);
    // Up to a tenth more.
    for (std::uint64_t random : {1ULL, 999ULL, 1'000ULL, ~0ULL}) {
      const auto delay = webhook_retry_delay(failed, 1, random);
      EXPECT_GE(*delay, expected[failed - 1]);
      EXPECT_LE(*delay, expected[failed - 1] * 11 / 10);
    }
  }
  EXPECT_EQ(webhook_retry_delay(10, 1, 0), std::nullopt);
}

}  // namespace
}  // namespace contactd::infra
