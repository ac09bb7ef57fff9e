#include "infra/kafka_membership.hpp"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <utility>

#include "infra/errors.hpp"
#include "infra/kafka_client.hpp"
#include "infra/log.hpp"
#include "infra/stoppable_wait.hpp"

namespace contactd::infra {
namespace {

using namespace kafka;

// How long a process that went silent keeps its partitions: the least that brokers allow as they
// come. --kafka-conf session.timeout.ms=... sets another.
constexpr auto session_timeout_ms = "6000";
constexpr auto heartbeat_interval_ms = "1000";
// How long giving up partitions may hold up the group: longer than it can take.
constexpr auto rebalance_timeout_ms = "60000";
constexpr int poll_wait_ms = 100;
// How long an instance that stops waits for the broker to know that it leaves.
constexpr std::chrono::milliseconds leave_wait_max{3'000};
constexpr int leave_poll_wait_ms = 10;
// Before a client that was given up is made anew: doubled each time, unless that was long ago.
constexpr std::chrono::milliseconds start_again_pause_min{500};
constexpr std::chrono::milliseconds start_again_pause_max{30'000};
constexpr std::chrono::milliseconds long_ago{120'000};
constexpr std::chrono::milliseconds tick_interval{100};
// How long the group's coordinator may take to say who is in it.
constexpr std::chrono::milliseconds count_wait_max{2'000};
constexpr std::chrono::milliseconds count_again_pause{5'000};
// The group counts the session's timeout from the last heartbeat, which may be up to a third of it
// (Kafka's rule for heartbeat.interval.ms) before a standstill begins: so it may have given the
// partitions away after two thirds. Half is on the safe side of that.
constexpr int standstill_share = 2;

// What the coordinator takes for a sign of life: Heartbeat, SyncGroup and ConsumerGroupHeartbeat
// (https://kafka.apache.org/protocol#protocol_api_keys).
constexpr std::array<std::int16_t, 3> signs_of_life{12, 14, 68};

// Goes on while the machine sleeps, too.
std::chrono::milliseconds now() {
  timespec time{};
  clock_gettime(CLOCK_BOOTTIME, &time);
  return std::chrono::seconds{time.tv_sec} + std::chrono::duration_cast<std::chrono::milliseconds>(
                                                 std::chrono::nanoseconds{time.tv_nsec});
}

class Membership final : public KafkaMembership {
 public:
  Membership(const KafkaConfig& config, Metrics& metrics, Callbacks callbacks)
      : config_(with_defaults(config)), callbacks_(std::move(callbacks)) {
    context_.name = "group";
    context_.metrics = &metrics;
    context_.membership = this;
    topics_.reset(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(topics_.get(), config.topic.c_str(), RD_KAFKA_PARTITION_UA);
    join();
    session_timeout_ = session_timeout();
    standstill_max_ = session_timeout_ / standstill_share;
    watch_ = std::jthread{[this](std::stop_token stop) {
      pthread_setname_np(pthread_self(), "standstill");
      watch_for_standstills(stop);
    }};
    thread_ = std::jthread{[this](std::stop_token stop) {
      pthread_setname_np(pthread_self(), "group");
      run(stop);
    }};
  }
  ~Membership() override { leave(); }

  void leave() override {
    if (!thread_.joinable()) return;
    thread_.request_stop();
    thread_.join();
  }

  bool silent() const override {
    const auto looked = now();
    return looked - alive_.load() > standstill_max_ || lease_is_over(looked);
  }

 private:
  struct Context : ClientContext {
    Membership* membership = nullptr;
  };
  struct FreeText {
    void operator()(char* text) const noexcept { rd_kafka_mem_free(nullptr, text); }
  };

  // The user's own go before.
  static KafkaConfig with_defaults(KafkaConfig config) {
    std::vector<KafkaConfig::Property> defaults{{"session.timeout.ms", session_timeout_ms},
                                                {"heartbeat.interval.ms", heartbeat_interval_ms},
                                                {"max.poll.interval.ms", rebalance_timeout_ms}};
    if (!config.instance_id.empty()) defaults.emplace_back("group.instance.id", config.instance_id);
    config.properties.insert(config.properties.begin(), defaults.begin(), defaults.end());
    return config;
  }

  void join() {
    ConfPtr conf = make_conf(config_, context_,
                             {{"group.id", config_.name_space},
                              {"partition.assignment.strategy", "range"},
                              {"enable.auto.commit", "false"},
                              {"enable.auto.offset.store", "false"},
                              {"auto.offset.reset", "latest"},
                              {"statistics.interval.ms", "0"}});
    rd_kafka_conf_set_rebalance_cb(conf.get(), on_rebalance);
    rd_kafka_conf_interceptor_add_on_new(conf.get(), "lease", on_new, this);
    client_ = make_client(RD_KAFKA_CONSUMER, std::move(conf));
    rd_kafka_poll_set_consumer(client_.get());
    if (const auto error = rd_kafka_subscribe(client_.get(), topics_.get())) {
      throw LogUnavailable("can't join the group " + config_.name_space + ": " + text_of(error));
    }
  }

  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      if (must_join_anew_.exchange(false)) join_anew();
      if (assigned_ && !counted_ && now() >= count_again_) count();
      MessagePtr message{rd_kafka_consumer_poll(client_.get(), poll_wait_ms)};
      if (!message || message->err == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
      tell_of(*message);
      const bool fatal = message->err == RD_KAFKA_RESP_ERR__FATAL;
      message.reset();
      if (fatal && !start_again(stop)) return;
    }
    leave_group();
    rd_kafka_consumer_close(client_.get());  // calls on_rebalance
  }

  void tell_of(const rd_kafka_message_t& error) {
    std::string what = "kafka group: " + std::string{rd_kafka_message_errstr(&error)};
    if (error.err == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED) {
      what += ": allow this user to Read the group " + config_.name_space;
    }
    spdlog::warn("{}", what);
    if (!assigned_) callbacks_.failing(what);
  }

  // A member that asks twice to join, because the first answer got lost with a broker, is fenced by
  // itself: librdkafka gives that client up, and we don't. Where two instances do share an id, each
  // fences the other, again and again, and no partition has two writers all the same.
  // Returns false if stopped, out of the group.
  bool start_again(const std::stop_token& stop) {
    spdlog::warn(
        "kafka group: joining anew; if that goes on, another instance has the id of this one: "
        "remove instance.id from the copy of the data directory that it runs on");
    rd_kafka_consumer_close(client_.get());
    // librdkafka tells nothing more of what a client has that it has given up.
    if (assigned_) give_up(true);
    if (now() - started_again_ > long_ago) pause_ = start_again_pause_min;
    for (;;) {
      if (!wait_for(stop, pause_)) return false;
      pause_ = std::min(2 * pause_, start_again_pause_max);
      started_again_ = now();
      try {
        join();
        return true;
      } catch (const LogUnavailable& problem) {
        spdlog::warn("kafka group: {}; trying again", problem.what());
      }
    }
  }

  // Closing alone would keep the place of an instance that has an id, for its next start, and the
  // others would wait for that as long as for one that was killed.
  void leave_group() {
    if (rd_kafka_unsubscribe(client_.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
    const auto deadline = now() + leave_wait_max;
    while (is_member() && now() < deadline) {
      const MessagePtr message{rd_kafka_consumer_poll(client_.get(), leave_poll_wait_ms)};
    }
  }

  // Leaving takes the id that the broker has given.
  bool is_member() const {
    const std::unique_ptr<char, FreeText> id{rd_kafka_memberid(client_.get())};
    return id && *id != '\0';
  }

  // On a thread of its own, as the other may wait long for partitions to be given up, while the
  // client goes on to send heartbeats.
  // Who asks silent() and then for doubts misses neither: the doubt comes first.
  void watch_for_standstills(const std::stop_token& stop) {
    std::optional<unsigned> doubted;  // of which assignment the lease was over
    do {
      // One look at the clock: a standstill between two would pass unseen.
      const auto looked = now();
      const unsigned assignment = assignments_;
      if (looked - alive_.load() > standstill_max_) {
        callbacks_.out_of_touch();
        left_ = assignment;
        must_join_anew_ = true;
      }
      const auto answered = answered_.load();
      // Each time: a doubt that was settled meanwhile was settled by who knew no more than this.
      if (lease_is_over(now())) {
        callbacks_.out_of_touch();
        if (std::exchange(doubted, assignment) != assignment) {
          spdlog::warn("kafka group: the coordinator has not answered for {} ms",
                       session_timeout_.count());
        }
      }
      lease_ = answered;
      // It may have given the partitions away, or not, and librdkafka may not have noticed either.
      if (doubted == assignment && !lease_is_over(now())) ask_to_join_anew(assignment);
      alive_ = looked;
    } while (wait_for(stop, tick_interval));
  }

  // Once for each assignment: joining leads to another.
  void ask_to_join_anew(unsigned assignment) {
    if (std::exchange(left_, assignment) != assignment) must_join_anew_ = true;
  }

  // The coordinator gives a member's partitions to others once it has heard nothing of it for the
  // session's timeout; this counts that from when it was last sent what it has answered, which is
  // before it can have been heard. Nobody else takes what one has who is alone.
  bool lease_is_over(std::chrono::milliseconds looked) const {
    return assigned_ && !alone_ && looked - lease_.load() > session_timeout_;
  }

  // What applies: the user may have given another than ours.
  std::chrono::milliseconds session_timeout() const {
    std::array<char, 32> value{};
    std::size_t size = value.size();
    rd_kafka_conf_get(rd_kafka_conf(client_.get()), "session.timeout.ms", value.data(), &size);
    return std::chrono::milliseconds{std::strtol(value.data(), nullptr, 10)};
  }

  void join_anew() {
    spdlog::warn(
        "kafka group: this instance stood still, or was not answered, for so long that the group "
        "may have given its partitions to others; joining anew");
    if (const auto error = rd_kafka_subscribe(client_.get(), topics_.get())) {
      spdlog::warn("kafka group: can't join anew: {}", text_of(error));
    }
  }

  // Asks the group's coordinator: a member isn't told of the others but by its partitions, and of
  // those it may have all there are. (By the call that librdkafka calls deprecated: its newer one
  // aborts the process where the coordinator takes longer than the wait;
  // github.com/confluentinc/librdkafka/issues/4605.)
  std::optional<bool> is_alone() const {
    const rd_kafka_group_list* raw = nullptr;
    rd_kafka_list_groups(client_.get(), config_.name_space.c_str(), &raw,
                         static_cast<int>(count_wait_max.count()));
    const GroupListPtr groups{raw};
    if (groups == nullptr || groups->group_cnt != 1) return std::nullopt;
    const rd_kafka_group_info& group = groups->groups[0];
    if (group.err != RD_KAFKA_RESP_ERR_NO_ERROR || group.member_cnt == 0) return std::nullopt;
    return group.member_cnt == 1;
  }

  void count() {
    const auto alone = is_alone();
    counted_ = alone.has_value();
    alone_ = alone.value_or(false);
    count_again_ = now() + count_again_pause;
    if (alone) callbacks_.counted(*alone);
  }

  void give_up(bool lost) {
    callbacks_.revoked(lost);
    assigned_ = false;
  }

  static rd_kafka_resp_err_t on_new(rd_kafka_t* client, const rd_kafka_conf_t*, void* self, char*,
                                    std::size_t) {
    return rd_kafka_interceptor_add_on_response_received(client, "lease", on_response, self);
  }

  // Called by librdkafka's threads.
  static rd_kafka_resp_err_t on_response(rd_kafka_t*, int, const char*, std::int32_t,
                                         std::int16_t request, std::int16_t, std::int32_t,
                                         std::size_t, std::int64_t round_trip_us,
                                         rd_kafka_resp_err_t error, void* opaque) {
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR && round_trip_us >= 0 &&
        std::ranges::find(signs_of_life, request) != signs_of_life.end()) {
      static_cast<Membership*>(opaque)->answered_ =
          now() -
          std::chrono::ceil<std::chrono::milliseconds>(std::chrono::microseconds{round_trip_us});
    }
    return RD_KAFKA_RESP_ERR_NO_ERROR;
  }

  static void on_rebalance(rd_kafka_t* client, rd_kafka_resp_err_t what,
                           rd_kafka_topic_partition_list_t* partitions, void* opaque) {
    Membership& self = *static_cast<Context*>(opaque)->membership;
    if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
      std::set<std::uint32_t> ours;
      for (int i = 0; i < partitions->cnt; ++i) {
        ours.insert(static_cast<std::uint32_t>(partitions->elems[i].partition));
        // Given a place to begin, so that nobody looks for a committed one.
        partitions->elems[i].offset = RD_KAFKA_OFFSET_END;
      }
      rd_kafka_assign(client, partitions);
      // Membership is all that is wanted of this consumer: it reads nothing.
      rd_kafka_pause_partitions(client, partitions);
      spdlog::info("kafka group: {} partitions are this instance's", ours.size());
      ++self.assignments_;
      self.alone_ = false;
      self.lease_ = self.answered_.load();
      self.assigned_ = true;
      self.callbacks_.assigned(ours);
      self.count();
      return;
    }
    const bool lost = rd_kafka_assignment_lost(client) != 0;
    spdlog::info("kafka group: partitions are assigned anew{}",
                 lost ? ", and this instance had lost its own" : "");
    self.give_up(lost);
    rd_kafka_assign(client, nullptr);
  }

  const KafkaConfig config_;
  const Callbacks callbacks_;
  Context context_;
  ClientPtr client_;
  PartitionsPtr topics_;
  std::chrono::milliseconds session_timeout_{};
  std::chrono::milliseconds standstill_max_{};
  std::atomic<std::chrono::milliseconds> alive_{now()};  // when watch_ last ran
  // When what the coordinator has last answered was sent; and that, as watch_ knew it.
  std::atomic<std::chrono::milliseconds> answered_{};
  std::atomic<std::chrono::milliseconds> lease_{};
  std::atomic<bool> must_join_anew_{false};
  std::atomic<unsigned> assignments_{0};  // how many there were
  std::optional<unsigned> left_;          // of watch_'s alone: the last one that it asked to leave
  // Written by the group's thread alone.
  std::atomic<bool> assigned_{false};
  std::atomic<bool> alone_{false};  // as last counted since it was assigned
  // Of the group's thread alone.
  bool counted_ = false;  // the group, since it was assigned
  std::chrono::milliseconds count_again_{};
  std::chrono::milliseconds pause_ = start_again_pause_min;
  std::chrono::milliseconds started_again_{};
  std::jthread watch_;
  std::jthread thread_;
};

}  // namespace

std::unique_ptr<KafkaMembership> join_kafka_group(const KafkaConfig& config, Metrics& metrics,
                                                  KafkaMembership::Callbacks callbacks) {
  return std::make_unique<Membership>(config, metrics, std::move(callbacks));
}

}  // namespace contactd::infra
