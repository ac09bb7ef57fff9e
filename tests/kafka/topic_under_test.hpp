#pragma once

#include <string>

#include "domain/instant.hpp"
#include "infra/kafka_event_log.hpp"
#include "infra/metrics.hpp"
#include "infra/random.hpp"
#include "tests/support/kafka_broker.hpp"

namespace contactd::test {

// A topic of its own on the shared broker, for one replica.
inline infra::KafkaConfig new_topic() {
  infra::KafkaConfig config;
  config.bootstrap = shared_kafka_broker()->bootstrap();
  config.topic = "contacts." + infra::random_text(12);
  config.name_space = config.topic;
  config.partitions = 2;
  config.replication = 1;
  config.min_insync = 1;
  config.create_topic = true;
  return config;
}

}  // namespace contactd::test
