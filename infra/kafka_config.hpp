#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace contactd::infra {

// Where the log is, if it is Kafka. How it is made and checked is in kafka_topic.hpp.
struct KafkaConfig {
  using Property = std::pair<std::string, std::string>;

  std::string bootstrap = "127.0.0.1:9092";
  std::string topic = "contacts.events";
  // Names the group of instances, and so the owners of the partitions: instances that share a topic
  // must share it.
  std::string name_space = "contactd";
  // Of this instance alone, and the same after a restart: an instance that was killed has its
  // partitions again at once, not when the group has waited for it in vain. Letters, digits, `.`,
  // `_` and `-`; empty: it is a new instance each time.
  std::string instance_id;
  // What a topic is created with. Of one that exists, the last two are required as the least.
  std::uint32_t partitions = 4;
  std::uint32_t replication = 3;
  std::uint32_t min_insync = 2;
  bool create_topic = false;
  bool allow_unsafe = false;         // warn of a topic that may lose facts, don't refuse it
  std::vector<Property> properties;  // librdkafka's, such as security.protocol
};

// Splits `name=value`; nothing if there is no name or no `=`.
std::optional<KafkaConfig::Property> kafka_property(const std::string& text);

// A sentence, if librdkafka doesn't know the property or its value, or if contactd's correctness
// rests on it and so sets it itself. Doesn't show the value: it may be a secret.
std::optional<std::string> problem_with(const KafkaConfig::Property& property);

}  // namespace contactd::infra
