#include "infra/name_resolver.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "infra/webhook_client.hpp"
#include "tests/support/eventually.hpp"

// Look-ups that block, as they do where name servers are away, and who needn't wait for them.
namespace contactd::infra {
namespace {

using test::eventually;
using Steady = std::chrono::steady_clock;

// Longer than anything here takes on a machine that is busy; only a failure waits for it.
constexpr std::chrono::seconds look_up_wait_max{30};
// Later than any test ends.
Steady::time_point far_off() { return Steady::now() + std::chrono::hours{1}; }

// Every name leads to 192.0.2.1, once the gate is open. Shared with threads that outlive the test.
class SlowNames {
 public:
  NameResolver::LookUp as_look_up() const {
    return [state = state_](const std::string& host) -> NameResolver::Addresses {
      std::unique_lock lock{state->mutex};
      state->begun.push_back(host);
      state->changed.notify_all();
      state->changed.wait(lock, [&] { return state->open; });
      ++state->ended;
      state->changed.notify_all();
      return {boost::asio::ip::make_address("192.0.2.1")};
    };
  }
  void open() const {
    const std::lock_guard lock{state_->mutex};
    state_->open = true;
    state_->changed.notify_all();
  }
  bool wait_for_begun(std::size_t count) const {
    return wait([&] { return state_->begun.size() >= count; });
  }
  bool wait_for_ended(std::size_t count) const {
    return wait([&] { return state_->ended >= count; });
  }
  bool begun(const std::string& host) const {
    const std::lock_guard lock{state_->mutex};
    return std::find(state_->begun.begin(), state_->begun.end(), host) != state_->begun.end();
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    // Guarded by mutex.
    bool open = false;
    std::vector<std::string> begun;
    std::size_t ended = 0;
  };
  template <class Enough>
  bool wait(const Enough& enough) const {
    std::unique_lock lock{state_->mutex};
    return state_->changed.wait_for(lock, look_up_wait_max, enough);
  }

  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

// Notes what was told of which name.
class Told {
 public:
  NameResolver::Done about(const std::string& host) {
    return [this, host, held = held_](const NameResolver::Addresses& addresses) {
      const std::lock_guard lock{mutex_};
      told_.emplace_back(host, addresses.size());
      changed_.notify_all();
    };
  }
  bool wait_for(const std::string& host, std::size_t addresses) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, look_up_wait_max, [&] {
      return std::find(told_.begin(), told_.end(), std::pair{host, addresses}) != told_.end();
    });
  }
  std::size_t count() {
    const std::lock_guard lock{mutex_};
    return told_.size();
  }
  // How many may still be told.
  long awaited() const { return held_.use_count() - 1; }

 private:
  const std::shared_ptr<int> held_ = std::make_shared<int>();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::pair<std::string, std::size_t>> told_;  // guarded by mutex_
};

class WebhookNames : public ::testing::Test {
 public:
  ~WebhookNames() override { names.open(); }

 protected:
  // Each of the threads looks a name up from now on.
  void keep_all_threads_busy() {
    for (std::size_t i = 0; i < NameResolver::threads; ++i) {
      EXPECT_TRUE(resolver->resolve("slow", far_off(), told.about("slow")));
    }
    ASSERT_TRUE(names.wait_for_begun(NameResolver::threads));
  }

  SlowNames names;
  Told told;
  std::optional<NameResolver> resolver{names.as_look_up()};
};

TEST_F(WebhookNames, AreLookedUpByTheSystem) {
  NameResolver system{look_up_name};
  EXPECT_TRUE(system.resolve("127.0.0.1", far_off(), told.about("127.0.0.1")));
  EXPECT_TRUE(told.wait_for("127.0.0.1", 1));
  EXPECT_TRUE(system.resolve("no name", far_off(), told.about("no name")));
  EXPECT_TRUE(told.wait_for("no name", 0));
}

TEST_F(WebhookNames, AreNotLookedUpPastTheirDeadline) {
  keep_all_threads_busy();
  EXPECT_TRUE(resolver->resolve("in-time", far_off(), told.about("in-time")));
  EXPECT_TRUE(resolver->resolve("late", Steady::now(), told.about("late")));
  names.open();
  EXPECT_TRUE(eventually([&] { return told.awaited() == 0; }, look_up_wait_max));
  EXPECT_FALSE(names.begun("late"));
  EXPECT_EQ(told.count(), NameResolver::threads + 1);
}

TEST_F(WebhookNames, WaitInABoundedNumberOfThoseThatStillHaveTime) {
  keep_all_threads_busy();
  EXPECT_TRUE(resolver->resolve("late", Steady::now(), told.about("late")));
  for (std::size_t i = 0; i < NameResolver::waiting_max; ++i) {
    ASSERT_TRUE(resolver->resolve("name", far_off(), told.about("name")));
  }
  EXPECT_FALSE(resolver->resolve("name", far_off(), told.about("name")));
}

TEST_F(WebhookNames, AreWaitedForByNobodyAtTheEnd) {
  keep_all_threads_busy();
  EXPECT_TRUE(resolver->resolve("waits", far_off(), told.about("waits")));
  resolver.reset();
  EXPECT_EQ(told.awaited(), 0);
  names.open();
  EXPECT_TRUE(names.wait_for_ended(NameResolver::threads));
  EXPECT_FALSE(names.begun("waits"));
  EXPECT_EQ(told.count(), 0U);
}

TEST_F(WebhookNames, ThatAreStillLookedUpDoNotHoldUpTheClientsEnd) {
  std::optional<WebhookClient> client{std::in_place, WebhookClient::Settings{}, names.as_look_up()};
  const auto held = std::make_shared<int>();
  // Twice as many as can be looked up at once.
  constexpr std::size_t count = 2 * NameResolver::threads;
  for (std::size_t i = 0; i < count; ++i) {
    client->send({WebhookUrl{true, "x.invalid", "443", "x.invalid", "/"}, {}, {}},
                 [held](const SendResult&) { ADD_FAILURE() << "told after the end"; });
  }
  ASSERT_TRUE(names.wait_for_begun(NameResolver::threads));
  client.reset();
  EXPECT_EQ(held.use_count(), 1);
  names.open();
  EXPECT_TRUE(names.wait_for_ended(NameResolver::threads));
}

}  // namespace
}  // namespace contactd::infra
