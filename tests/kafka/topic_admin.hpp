#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "infra/cloud_event.hpp"
#include "infra/kafka_config.hpp"
#include "infra/kafka_handles.hpp"

namespace contactd::test {

// What an operator, or somebody who means no good, does to a topic.
// Throws std::runtime_error with what Kafka says.
class TopicAdmin {
 public:
  using Settings = std::map<std::string, std::string>;

  explicit TopicAdmin(const infra::KafkaConfig& config);

  // With these settings beside those that contactd asks for.
  void create(const Settings& settings);
  void remove();
  // To this many in all.
  void add_partitions(std::uint32_t partitions);
  // Those before `offset` of the partition.
  void delete_records(std::uint32_t partition, std::int64_t offset);

  // One transaction of a producer that isn't contactd's.
  void write(std::uint32_t partition, const std::vector<infra::KafkaRecord>& records,
             bool commit = true);

 private:
  infra::kafka::EventPtr next_result();

  const infra::KafkaConfig config_;
  infra::kafka::ClientPtr client_;
  infra::kafka::QueuePtr queue_;
};

}  // namespace contactd::test
