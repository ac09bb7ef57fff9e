#include "api/slow_reads.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>

// Who gets a thread for a read that may take long.
namespace contactd::api {
namespace {

using testing::ElementsAre;

constexpr SlowReads::Limits limits{2, 6, 4};

class SlowReadsTest : public testing::Test {
 protected:
  // Occupies all threads that the organization can have, until let_go().
  void occupy(std::string_view organization) {
    auto begun = std::make_shared<std::promise<void>>();
    ASSERT_TRUE(reads_.submit(organization, asker_, [begun, gate = gate_] {
      begun->set_value();
      gate.wait();
    }));
    begun->get_future().wait();
  }
  void let_go() { open_.set_value(); }

  bool ask(std::string_view organization, std::string_view name) {
    return reads_.submit(organization, asker_, [this, name = std::string{name}] {
      const std::lock_guard lock{mutex_};
      order_.push_back(name);
    });
  }
  // Returns once all that was asked for before has run. REQUIRES: there is room for one more.
  void wait_for(std::string_view organization) {
    auto done = std::make_shared<std::promise<void>>();
    ASSERT_TRUE(reads_.submit(organization, asker_, [done] { done->set_value(); }));
    done->get_future().wait();
  }
  // Returns once stop() has begun: only then is one that has nothing waiting refused.
  // REQUIRES: the organization has no other reads.
  void await_stop(std::string_view organization) {
    for (;;) {
      auto done = std::make_shared<std::promise<void>>();
      const auto run_or_forgotten = done->get_future();
      if (!reads_.submit(organization, asker_, [done = std::move(done)] { done->set_value(); })) {
        return;
      }
      run_or_forgotten.wait();
    }
  }
  std::vector<std::string> order() {
    const std::lock_guard lock{mutex_};
    return order_;
  }

  const std::shared_ptr<const int> asker_ = std::make_shared<const int>();
  std::promise<void> open_;
  std::shared_future<void> gate_ = open_.get_future().share();
  std::mutex mutex_;
  std::vector<std::string> order_;
  SlowReads reads_{limits};  // last: its threads touch all of the above
};

TEST_F(SlowReadsTest, AnOrganizationNeverHasAllThreads) {
  occupy("busy");
  ASSERT_TRUE(ask("busy", "busy 2"));
  ASSERT_TRUE(ask("other", "other"));
  wait_for("other");
  EXPECT_THAT(order(), ElementsAre("other"));
  let_go();
  wait_for("busy");
  EXPECT_THAT(order(), ElementsAre("other", "busy 2"));
}

TEST_F(SlowReadsTest, OrganizationsTakeTurns) {
  occupy("a");
  occupy("b");
  for (const char* name : {"c1", "c2", "c3"}) ASSERT_TRUE(ask("c", name));
  ASSERT_TRUE(ask("d", "d1"));
  let_go();
  wait_for("c");
  const auto ran = order();
  const auto place = [&](std::string_view name) {
    return std::find(ran.begin(), ran.end(), name) - ran.begin();
  };
  EXPECT_EQ(ran.size(), 4U);
  EXPECT_LT(place("c1"), place("c2"));
  EXPECT_LT(place("c2"), place("c3"));
  EXPECT_LT(place("d1"), place("c3")) << "two reads of c came before the first of d";
}

TEST_F(SlowReadsTest, TakeNoMoreThanTheirLimits) {
  occupy("a");
  occupy("b");
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(ask("a", "a"));
  EXPECT_TRUE(reads_.is_full("a"));
  EXPECT_FALSE(ask("a", "a"));
  EXPECT_TRUE(ask("b", "b"));
  EXPECT_TRUE(ask("c", "c"));
  EXPECT_TRUE(reads_.is_full("nobody else"));
  EXPECT_FALSE(ask("d", "d"));
  let_go();
  reads_.stop();
}

TEST_F(SlowReadsTest, WhatNobodyWaitsForAnyMoreIsntRun) {
  occupy("a");
  auto gone = std::make_shared<const int>();
  std::atomic<bool> ran = false;
  ASSERT_TRUE(reads_.submit("a", gone, [&] { ran = true; }));
  gone.reset();
  let_go();
  wait_for("a");
  EXPECT_FALSE(ran);
}

TEST_F(SlowReadsTest, StopEndsWhatHasBegunAndForgetsTheRest) {
  occupy("a");
  ASSERT_TRUE(ask("a", "forgotten"));
  std::future<void> stopped = std::async(std::launch::async, [this] { reads_.stop(); });
  await_stop("b");
  let_go();
  stopped.get();
  EXPECT_EQ(std::ranges::count(order(), "forgotten"), 0);
  EXPECT_FALSE(ask("a", "refused"));
}

}  // namespace
}  // namespace contactd::api
