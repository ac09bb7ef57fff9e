#include "infra/kafka_membership.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "tests/kafka/topic_under_test.hpp"

namespace contactd::test {
namespace {

constexpr std::chrono::seconds group_wait_max{60};

// An instance that remembers what the group has told it.
class Instance {
 public:
  using Partitions = std::set<std::uint32_t>;

  explicit Instance(const infra::KafkaConfig& config)
      : membership_(infra::join_kafka_group(
            config, metrics_,
            {.assigned = [this](const Partitions& ours) { set(ours); },
             .revoked = [this](bool) { set(std::nullopt); },
             .counted = [this](bool alone) { set_alone(alone); },
             .stood_still = [] { ADD_FAILURE() << "nobody stopped this process"; }})) {}

  void leave() { membership_->leave(); }
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

  infra::Metrics metrics_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Partitions> partitions_;
  std::optional<bool> alone_;
  std::unique_ptr<infra::KafkaMembership> membership_;  // last: it calls the above
};

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

}  // namespace
}  // namespace contactd::test
