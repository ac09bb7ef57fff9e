#include "tests/kafka/topic_admin.hpp"

#include <array>
#include <stdexcept>

#include "infra/kafka_record.hpp"
#include "tests/projections/log_builder.hpp"

namespace contactd::test {
namespace {

using namespace infra::kafka;

constexpr int wait_max_ms = 30'000;

void require(rd_kafka_resp_err_t error, const char* what) {
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return;
  throw std::runtime_error(std::string{what} + ": " + rd_kafka_err2str(error));
}

void require(const ErrorPtr& error, const char* what) {
  if (error)
    throw std::runtime_error(std::string{what} + ": " + rd_kafka_error_string(error.get()));
}

ClientPtr new_producer(const infra::KafkaConfig& config) {
  rd_kafka_conf_t* const conf = rd_kafka_conf_new();
  const std::string id = config.topic + ".stranger";
  for (const auto& [name, value] : {std::pair{"bootstrap.servers", config.bootstrap.c_str()},
                                    std::pair{"transactional.id", id.c_str()}}) {
    rd_kafka_conf_set(conf, name, value, nullptr, 0);
  }
  std::array<char, 512> reason{};
  rd_kafka_t* const client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason.data(), reason.size());
  if (client == nullptr) throw std::runtime_error(reason.data());
  return ClientPtr{client};
}

}  // namespace

TopicAdmin::TopicAdmin(const infra::KafkaConfig& config)
    : config_(config), client_(new_producer(config)), queue_(rd_kafka_queue_new(client_.get())) {}

EventPtr TopicAdmin::next_result() {
  EventPtr event{rd_kafka_queue_poll(queue_.get(), wait_max_ms)};
  if (!event) throw std::runtime_error("Kafka doesn't answer");
  require(rd_kafka_event_error(event.get()), "administering the topic");
  return event;
}

void TopicAdmin::create(const Settings& settings) {
  std::array<char, 512> reason{};
  const NewTopicPtr topic{
      rd_kafka_NewTopic_new(config_.topic.c_str(), static_cast<int>(config_.partitions),
                            static_cast<int>(config_.replication), reason.data(), reason.size())};
  Settings all = {{"retention.ms", "-1"},
                  {"retention.bytes", "-1"},
                  {"cleanup.policy", "delete"},
                  {"unclean.leader.election.enable", "false"},
                  {"min.insync.replicas", "1"}};
  for (const auto& [name, value] : settings) all[name] = value;
  for (const auto& [name, value] : all) {
    rd_kafka_NewTopic_set_config(topic.get(), name.c_str(), value.c_str());
  }
  rd_kafka_NewTopic_t* list = topic.get();
  rd_kafka_CreateTopics(client_.get(), &list, 1, nullptr, queue_.get());
  const EventPtr event = next_result();
  std::size_t count = 0;
  const auto* const results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  require(rd_kafka_topic_result_error(results[0]), "creating the topic");
}

void TopicAdmin::remove() {
  rd_kafka_DeleteTopic_t* wanted = rd_kafka_DeleteTopic_new(config_.topic.c_str());
  rd_kafka_DeleteTopics(client_.get(), &wanted, 1, nullptr, queue_.get());
  rd_kafka_DeleteTopic_destroy(wanted);
  const EventPtr event = next_result();
  std::size_t count = 0;
  const auto* const results =
      rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event.get()), &count);
  require(rd_kafka_topic_result_error(results[0]), "deleting the topic");
}

void TopicAdmin::add_partitions(std::uint32_t partitions) {
  std::array<char, 512> reason{};
  rd_kafka_NewPartitions_t* wanted =
      rd_kafka_NewPartitions_new(config_.topic.c_str(), partitions, reason.data(), reason.size());
  rd_kafka_CreatePartitions(client_.get(), &wanted, 1, nullptr, queue_.get());
  rd_kafka_NewPartitions_destroy(wanted);
  const EventPtr event = next_result();
  std::size_t count = 0;
  const auto* const results = rd_kafka_CreatePartitions_result_topics(
      rd_kafka_event_CreatePartitions_result(event.get()), &count);
  require(rd_kafka_topic_result_error(results[0]), "adding partitions");
}

void TopicAdmin::delete_records(std::uint32_t partition, std::int64_t offset) {
  const PartitionsPtr before{rd_kafka_topic_partition_list_new(1)};
  rd_kafka_topic_partition_list_add(before.get(), config_.topic.c_str(),
                                    static_cast<std::int32_t>(partition))
      ->offset = offset;
  rd_kafka_DeleteRecords_t* wanted = rd_kafka_DeleteRecords_new(before.get());
  rd_kafka_DeleteRecords(client_.get(), &wanted, 1, nullptr, queue_.get());
  rd_kafka_DeleteRecords_destroy(wanted);
  next_result();
}

void TopicAdmin::write(std::uint32_t partition, const std::vector<infra::KafkaRecord>& records,
                       bool commit) {
  const ClientPtr producer = new_producer(config_);
  require(ErrorPtr{rd_kafka_init_transactions(producer.get(), wait_max_ms)}, "beginning");
  require(ErrorPtr{rd_kafka_begin_transaction(producer.get())}, "beginning");
  for (const infra::KafkaRecord& record : records) {
    require(produce(record, noon, producer.get(), config_.topic, partition), "writing");
  }
  if (commit) {
    require(ErrorPtr{rd_kafka_commit_transaction(producer.get(), wait_max_ms)}, "committing");
  } else {
    require(rd_kafka_flush(producer.get(), wait_max_ms), "flushing");
    require(ErrorPtr{rd_kafka_abort_transaction(producer.get(), wait_max_ms)}, "aborting");
  }
}

}  // namespace contactd::test
