#include "infra/kafka_membership.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "tests/kafka/topic_under_test.hpp"
#include "tests/support/eventually.hpp"

namespace contactd::test {
namespace {

constexpr std::chrono::seconds group_wait_max{60};

// An instance that remembers what the group has told it.
class Instance {
 public:
  using Partitions = std::set<std::uint32_t>;

  explicit Instance(
      const infra::KafkaConfig& config, std::function<void()> on_assigned = [] {})
      : on_assigned_(std::move(on_assigned)),
        membership_(infra::join_kafka_group(config, metrics_, callbacks())) {}

  void leave() { membership_->leave(); }
  bool silent() const { return membership_->silent(); }
  bool was_out_of_touch() const { return out_of_touch_; }
  bool was_silent_when_revoked() const { return was_silent_; }
  std::optional<Partitions> partitions() const {
    const std::lock_guard lock{mutex_};
    return partitions_;
  }
  bool wait_until_none_is_ours() {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, group_wait_max, [&] { return !partitions_; });
  }
  bool wait_for(std::size_t count) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, group_wait_max,
                             [&] { return partitions_ && partitions_->size() == count; });
  }

  bool wait_until_alone(bool alone) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, group_wait_max, [&] { return alone_ == alone; });
  }

 private:
  infra::KafkaMembership::Callbacks callbacks() {
    return {.assigned =
                [this](const Partitions& ours) {
                  on_assigned_();
                  set(ours);
                },
            .revoked =
                [this](bool) {
                  was_silent_ = silent();
                  set(std::nullopt);
                },
            .counted = [this](bool alone) { set_alone(alone); },
            .out_of_touch = [this] { out_of_touch_ = true; },
            .failing = [](const std::string&) {}};
  }
  void set_alone(bool alone) {
    const std::lock_guard lock{mutex_};
    alone_ = alone;
    changed_.notify_all();
  }
  void set(std::optional<Partitions> partitions) {
    const std::lock_guard lock{mutex_};
    partitions_ = std::move(partitions);
    changed_.notify_all();
  }

  const std::function<void()> on_assigned_;
  infra::Metrics metrics_;
  std::atomic<bool> out_of_touch_{false};
  std::atomic<bool> was_silent_{false};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Partitions> partitions_;
  std::optional<bool> alone_;
  std::unique_ptr<infra::KafkaMembership> membership_;  // last: it calls the above
};

// A topic that is there, at a broker that others don't need.
infra::KafkaConfig topic_of(const KafkaBroker& broker) {
  infra::KafkaConfig config = new_topic();
  config.bootstrap = broker.bootstrap();
  infra::Metrics metrics;
  infra::open_kafka_event_log(config, metrics);  // creates it
  return config;
}

// Also where one has all partitions, and the other none.
TEST(KafkaMembership, TellsWhetherOneIsAlone) {
  infra::KafkaConfig config = new_topic();
  config.partitions = 1;
  infra::Metrics metrics;
  infra::open_kafka_event_log(config, metrics);
  Instance first{config};
  EXPECT_TRUE(first.wait_until_alone(true));
  Instance second{config};
  EXPECT_TRUE(first.wait_until_alone(false));
  EXPECT_TRUE(second.wait_until_alone(false));
  second.leave();
  EXPECT_TRUE(first.wait_until_alone(true));
}

TEST(KafkaMembership, SpreadsThePartitionsAndGivesThemBack) {
  infra::KafkaConfig config = new_topic();
  infra::Metrics metrics;
  infra::open_kafka_event_log(config, metrics);  // creates the topic
  Instance first{config};
  ASSERT_TRUE(first.wait_for(2));
  Instance second{config};
  ASSERT_TRUE(second.wait_for(1));
  ASSERT_TRUE(first.wait_for(1));
  EXPECT_NE(first.partitions(), second.partitions());
  first.leave();
  EXPECT_EQ(first.partitions(), std::nullopt);
  EXPECT_TRUE(second.wait_for(2));
}

// An instance with an id keeps its place when it only falls silent; the group would wait for it for
// longer than this test does.
TEST(KafkaMembership, OneThatLeavesKeepsNoPlace) {
  infra::KafkaConfig config = new_topic();
  config.properties = {{"session.timeout.ms", "300000"}, {"max.poll.interval.ms", "300000"}};
  infra::Metrics metrics;
  infra::open_kafka_event_log(config, metrics);  // creates the topic
  config.instance_id = "first";
  Instance first{config};
  ASSERT_TRUE(first.wait_for(2));
  config.instance_id = "second";
  Instance second{config};
  ASSERT_TRUE(second.wait_for(1));
  ASSERT_TRUE(first.wait_for(1));
  first.leave();
  EXPECT_TRUE(second.wait_for(2));
}

// librdkafka gives a client up that was fenced; its instance joins anew.
TEST(KafkaMembership, OneWhoseIdAnotherHadGoesOnOnceThatIsGone) {
  infra::KafkaConfig config = new_topic();
  infra::Metrics metrics;
  infra::open_kafka_event_log(config, metrics);  // creates the topic
  config.instance_id = "copied";
  Instance first{config};
  ASSERT_TRUE(first.wait_for(2));
  {
    const Instance second{config};
    ASSERT_TRUE(first.wait_until_none_is_ours());
  }
  EXPECT_TRUE(first.wait_for(2));
}

// How many members there are is asked after each assignment. An answer that comes later than it is
// waited for must do no harm.
TEST(KafkaMembership, OneWhoseCoordinatorAnswersTooLateGoesOn) {
  KafkaBroker broker;
  const infra::KafkaConfig config = topic_of(broker);
  std::once_flag first;
  Instance instance{config, [&] { std::call_once(first, [&] { broker.pause(); }); }};
  ASSERT_TRUE(instance.wait_for(2));
  ASSERT_TRUE(instance.wait_until_none_is_ours());
  broker.resume();
  EXPECT_TRUE(instance.wait_for(2));
  EXPECT_TRUE(instance.wait_until_alone(true));
}

// The other may have had its partition before librdkafka notices, which counts from the answer.
TEST(KafkaMembership, OneThatIsNotAnsweredIsSilentBeforeItIsToldUnlessItIsAlone) {
  KafkaBroker broker;
  const infra::KafkaConfig config = topic_of(broker);
  Instance first{config};
  ASSERT_TRUE(first.wait_until_alone(true));
  broker.pause();
  EXPECT_TRUE(first.wait_until_none_is_ours());
  EXPECT_FALSE(first.was_silent_when_revoked());
  EXPECT_FALSE(first.was_out_of_touch());
  broker.resume();

  ASSERT_TRUE(first.wait_for(2));
  Instance second{config};
  ASSERT_TRUE(first.wait_until_alone(false));
  ASSERT_TRUE(first.wait_for(1));
  EXPECT_FALSE(first.was_out_of_touch());
  broker.pause();
  EXPECT_TRUE(first.wait_until_none_is_ours());
  EXPECT_TRUE(first.was_silent_when_revoked());
  broker.resume();
  EXPECT_TRUE(first.wait_for(1));
  EXPECT_TRUE(eventually([&] { return !first.silent(); }, group_wait_max));
}

}  // namespace
}  // namespace contactd::test
