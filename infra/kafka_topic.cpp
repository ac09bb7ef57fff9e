#include "infra/kafka_topic.hpp"

#include <array>
#include <chrono>
#include <map>
#include <thread>
#include <vector>

#include "infra/errors.hpp"
#include "infra/kafka_client.hpp"
#include "infra/log.hpp"

namespace contactd::infra {
namespace {

using namespace kafka;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// How long any broker may take to answer at all, before it is said what is in the way.
constexpr milliseconds first_answer_max{10'000};
// How long a start waits for what a broker does.
constexpr milliseconds start_wait_max{30'000};
constexpr milliseconds request_wait_max{5'000};
constexpr milliseconds stop_check_interval{200};
// A topic that was just made isn't known to every broker at once.
constexpr milliseconds look_again_pause{100};
constexpr auto safe_cleanup = "delete";
constexpr auto unlimited = "-1";
// What librdkafka may put into one batch as it comes (message.max.bytes), and Kafka's default.
constexpr unsigned long message_bytes_needed = 1'000'000;
constexpr unsigned long usual_message_bytes_max = 1'048'588;

class TopicCare {
 public:
  TopicCare(const KafkaConfig& config, Metrics& metrics, std::stop_token stop)
      : config_(config), stop_(std::move(stop)) {
    context_.name = "admin";
    context_.metrics = &metrics;
    client_ = make_client(RD_KAFKA_PRODUCER,
                          make_conf(config, context_, {{"statistics.interval.ms", "0"}}));
    queue_.reset(rd_kafka_queue_new(client_.get()));
  }

  KafkaTopic prepare();

 private:
  struct Found {
    std::uint32_t partitions = 0;
    std::uint32_t replicas = 0;  // of the partition that has the fewest
  };

  std::string cluster_id();
  std::optional<Found> find();
  std::optional<Found> find_or_wait(Clock::time_point deadline);
  void create();
  EventPtr described();
  std::map<std::string, std::string> settings();
  void check_settings();
  void check_replicas(const Found& found);
  std::int64_t first_offset(std::uint32_t partition);
  void check_nothing_deleted(const Found& found);
  void check_record_size(const std::string& max_bytes, const std::string& fix);
  void unsafe(const std::string& what, const std::string& fix);
  void unsuited(const std::string& sentence, const std::string& fix);
  EventPtr result(const char* what);
  AdminOptionsPtr options(rd_kafka_admin_op_t operation);
  [[noreturn]] static void fail(const std::string& what, rd_kafka_resp_err_t error);
  void look_again() const;
  std::string name() const { return "the Kafka topic " + config_.topic; }

  const KafkaConfig& config_;
  const std::stop_token stop_;
  ClientContext context_;
  ClientPtr client_;
  QueuePtr queue_;
};

KafkaTopic TopicCare::prepare() {
  KafkaTopic topic;
  topic.cluster_id = cluster_id();
  auto found = find();
  if (!found && config_.create_topic) {
    create();
    found = find_or_wait(Clock::now() + start_wait_max);
  }
  if (!found) {
    throw LogUnavailable(name() + " doesn't exist at " + config_.bootstrap +
                         "; give --kafka-create-topic to have it created");
  }
  topic.partitions = found->partitions;
  check_settings();
  check_replicas(*found);
  check_nothing_deleted(*found);
  return topic;
}

std::string TopicCare::cluster_id() {
  const auto deadline = Clock::now() + first_answer_max;
  char* id = nullptr;
  while (id == nullptr && Clock::now() < deadline && !stop_.stop_requested()) {
    id = rd_kafka_clusterid(client_.get(), static_cast<int>(stop_check_interval.count()));
    rd_kafka_poll(client_.get(), 0);  // calls what tells context_ of errors
  }
  if (id == nullptr) {
    const std::string reason = context_.last_error.empty() ? "" : " (" + context_.last_error + ")";
    throw LogAway("no Kafka broker answers at " + config_.bootstrap + " within " +
                  std::to_string(first_answer_max.count() / 1000) + " seconds" + reason +
                  "; check --kafka-bootstrap, what --kafka-conf says of security, and that a "
                  "broker is up");
  }
  std::string text{id};
  rd_kafka_mem_free(client_.get(), id);
  return text;
}

// Nothing if there is no such topic, or not all of its partitions have a leader yet.
std::optional<TopicCare::Found> TopicCare::find() {
  const TopicPtr topic{rd_kafka_topic_new(client_.get(), config_.topic.c_str(), nullptr)};
  const rd_kafka_metadata_t* raw = nullptr;
  const auto error = rd_kafka_metadata(client_.get(), 0, topic.get(), &raw,
                                       static_cast<int>(request_wait_max.count()));
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    fail(name() + " can't be looked up: " + text_of(error) +
             "; check the brokers, and the right to describe it",
         error);
  }
  const MetadataPtr metadata{raw};
  if (metadata->topic_cnt != 1) return std::nullopt;
  const rd_kafka_metadata_topic_t& of_topic = metadata->topics[0];
  if (of_topic.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || of_topic.partition_cnt == 0) {
    return std::nullopt;
  }
  if (of_topic.err != RD_KAFKA_RESP_ERR_NO_ERROR &&
      of_topic.err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) {
    throw LogUnavailable(name() + " can't be used: " + text_of(of_topic.err));
  }
  Found found;
  found.partitions = static_cast<std::uint32_t>(of_topic.partition_cnt);
  found.replicas = static_cast<std::uint32_t>(of_topic.partitions[0].replica_cnt);
  for (int i = 1; i < of_topic.partition_cnt; ++i) {
    found.replicas =
        std::min(found.replicas, static_cast<std::uint32_t>(of_topic.partitions[i].replica_cnt));
  }
  return found;
}

std::optional<TopicCare::Found> TopicCare::find_or_wait(Clock::time_point deadline) {
  for (;;) {
    const auto found = find();
    if (found || Clock::now() >= deadline) return found;
    look_again();
  }
}

// Brokers that are away, or have just come, are no reason to give up.
void TopicCare::fail(const std::string& what, rd_kafka_resp_err_t error) {
  switch (error) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
    case RD_KAFKA_RESP_ERR_NOT_CONTROLLER:
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
      throw LogAway(what);
    default:
      throw LogUnavailable(what);
  }
}

// Throws LogAway once it is told to stop.
void TopicCare::look_again() const {
  if (stop_.stop_requested()) throw LogAway(name() + " is looked at no further: told to stop");
  std::this_thread::sleep_for(look_again_pause);
}

AdminOptionsPtr TopicCare::options(rd_kafka_admin_op_t operation) {
  AdminOptionsPtr options{rd_kafka_AdminOptions_new(client_.get(), operation)};
  std::array<char, 256> reason{};
  rd_kafka_AdminOptions_set_request_timeout(options.get(), static_cast<int>(start_wait_max.count()),
                                            reason.data(), reason.size());
  return options;
}

EventPtr TopicCare::result(const char* what) {
  // librdkafka's own time limit comes first.
  const milliseconds patience = 2 * start_wait_max;
  EventPtr event{rd_kafka_queue_poll(queue_.get(), static_cast<int>(patience.count()))};
  if (!event || rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    fail(name() + " can't be " + what + ": " +
             (event ? rd_kafka_event_error_string(event.get()) : "no answer") +
             "; check the brokers, and contactd's rights",
         event ? rd_kafka_event_error(event.get()) : RD_KAFKA_RESP_ERR__TIMED_OUT);
  }
  return event;
}

void TopicCare::create() {
  std::array<char, 512> reason{};
  const NewTopicPtr topic{
      rd_kafka_NewTopic_new(config_.topic.c_str(), static_cast<int>(config_.partitions),
                            static_cast<int>(config_.replication), reason.data(), reason.size())};
  if (!topic) throw LogUnavailable(name() + " can't be created: " + reason.data());
  const std::string min_insync = std::to_string(config_.min_insync);
  for (const auto& [setting, value] :
       std::map<const char*, const char*>{{"retention.ms", unlimited},
                                          {"retention.bytes", unlimited},
                                          {"cleanup.policy", safe_cleanup},
                                          {"unclean.leader.election.enable", "false"},
                                          {"min.insync.replicas", min_insync.c_str()}}) {
    rd_kafka_NewTopic_set_config(topic.get(), setting, value);
  }
  rd_kafka_NewTopic_t* list = topic.get();
  const AdminOptionsPtr wanted = options(RD_KAFKA_ADMIN_OP_CREATETOPICS);
  rd_kafka_CreateTopics(client_.get(), &list, 1, wanted.get(), queue_.get());
  const EventPtr event = result("created");
  std::size_t count = 0;
  const auto* const results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  const auto error = rd_kafka_topic_result_error(results[0]);
  if (error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) return;  // another instance was quicker
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    const char* const why = rd_kafka_topic_result_error_string(results[0]);
    throw LogUnavailable(name() + " can't be created with " + std::to_string(config_.partitions) +
                         " partitions and " + std::to_string(config_.replication) +
                         " replicas: " + (why != nullptr ? why : text_of(error)) +
                         "; --kafka-replication can't be more than there are brokers");
  }
  spdlog::info("created {}: {} partitions, {} replicas, {} of them in sync", name(),
               config_.partitions, config_.replication, config_.min_insync);
}

EventPtr TopicCare::described() {
  const auto deadline = Clock::now() + start_wait_max;
  for (;;) {
    const ConfigResourcePtr resource{
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, config_.topic.c_str())};
    rd_kafka_ConfigResource_t* list = resource.get();
    const AdminOptionsPtr wanted = options(RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_DescribeConfigs(client_.get(), &list, 1, wanted.get(), queue_.get());
    EventPtr event = result("checked");
    std::size_t count = 0;
    const auto* const results = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event.get()), &count);
    const auto error = rd_kafka_ConfigResource_error(results[0]);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return event;
    // It was found just now: the broker that was asked hasn't heard of it yet.
    if (error != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || Clock::now() >= deadline) {
      throw LogUnavailable(name() + "'s settings can't be read: " + text_of(error) +
                           "; contactd needs the right to describe the topic's configuration");
    }
    look_again();
  }
}

std::map<std::string, std::string> TopicCare::settings() {
  const EventPtr event = described();
  std::size_t count = 0;
  const auto* const results = rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(event.get()), &count);
  std::map<std::string, std::string> settings;
  const auto* const entries = rd_kafka_ConfigResource_configs(results[0], &count);
  for (std::size_t i = 0; i < count; ++i) {
    const char* const value = rd_kafka_ConfigEntry_value(entries[i]);
    settings[rd_kafka_ConfigEntry_name(entries[i])] = value != nullptr ? value : "";
  }
  return settings;
}

void TopicCare::check_settings() {
  auto found = settings();
  const auto alter = [&](const std::string& setting, const std::string& value) {
    return "set it: kafka-configs.sh --bootstrap-server " + config_.bootstrap +
           " --alter --entity-type topics --entity-name " + config_.topic + " --add-config " +
           setting + "=" + value;
  };
  const std::map<std::string, std::pair<const char*, const char*>> wanted = {
      {"retention.ms", {unlimited, "Kafka deletes what is older"}},
      {"retention.bytes", {unlimited, "Kafka deletes the oldest when there is more"}},
      {"cleanup.policy", {safe_cleanup, "Kafka drops all but the last record of each key"}},
      {"unclean.leader.election.enable", {"false", "a failover may lose acknowledged records"}}};
  for (const auto& [setting, safe] : wanted) {
    const auto& [value, harm] = safe;
    if (found[setting] != value) {
      unsafe(setting + "=" + found[setting] + ": " + harm, alter(setting, value));
    }
  }
  const std::string& in_sync = found["min.insync.replicas"];
  if (std::strtoul(in_sync.c_str(), nullptr, 10) < config_.min_insync) {
    unsafe("min.insync.replicas=" + in_sync + ", but --kafka-min-insync asks for " +
               std::to_string(config_.min_insync),
           alter("min.insync.replicas", std::to_string(config_.min_insync)));
  }
  check_record_size(found["max.message.bytes"],
                    alter("max.message.bytes", std::to_string(usual_message_bytes_max)));
}

void TopicCare::check_record_size(const std::string& max_bytes, const std::string& fix) {
  if (std::strtoul(max_bytes.c_str(), nullptr, 10) >= message_bytes_needed) return;
  unsuited(name() + " can't take every change: it has max.message.bytes=" + max_bytes +
               ", and batches of up to " + std::to_string(message_bytes_needed) +
               " bytes are written",
           fix);
}

void TopicCare::check_replicas(const Found& found) {
  if (found.replicas >= config_.replication) return;
  unsafe("only " + std::to_string(found.replicas) + " replicas, but --kafka-replication asks for " +
             std::to_string(config_.replication),
         "add replicas with kafka-reassign-partitions.sh, or give --kafka-replication " +
             std::to_string(found.replicas) + " and a --kafka-min-insync to match");
}

std::int64_t TopicCare::first_offset(std::uint32_t partition) {
  const auto deadline = Clock::now() + start_wait_max;
  for (;;) {
    const auto [error, first] = ask_offset(client_.get(), config_.topic, partition,
                                           RD_KAFKA_OFFSET_BEGINNING, request_wait_max);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return first;
    if (Clock::now() >= deadline) {
      fail(name() + ", partition " + std::to_string(partition) +
               " can't be asked for its offsets: " + text_of(error) +
               "; check that all of the partition's brokers are up",
           error);
    }
    look_again();
  }
}

void TopicCare::check_nothing_deleted(const Found& found) {
  for (std::uint32_t id = 0; id < found.partitions; ++id) {
    const std::int64_t first = first_offset(id);
    if (first == 0) continue;
    unsafe("no records before offset " + std::to_string(first) + " of partition " +
               std::to_string(id) + ": they were deleted",
           "restore the topic from a backup");
  }
}

void TopicCare::unsafe(const std::string& what, const std::string& fix) {
  unsuited(name() + " would lose facts: it has " + what, fix);
}

void TopicCare::unsuited(const std::string& sentence, const std::string& fix) {
  if (!config_.allow_unsafe) {
    throw LogUnavailable(sentence + ". Fix: " + fix +
                         " (or give --kafka-allow-unsafe, on a machine whose data doesn't matter)");
  }
  spdlog::warn("{}", sentence);
}

}  // namespace

KafkaTopic prepare_kafka_topic(const KafkaConfig& config, Metrics& metrics,
                               const std::stop_token& stop) {
  return TopicCare{config, metrics, stop}.prepare();
}

}  // namespace contactd::infra
