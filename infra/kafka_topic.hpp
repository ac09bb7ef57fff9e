#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "infra/kafka_config.hpp"
#include "infra/metrics.hpp"

namespace contactd::infra {

struct KafkaTopic {
  std::string cluster_id;
  std::uint32_t partitions = 0;
};

// Makes sure that the topic is there and keeps every fact: creates it if that was asked for, and
// refuses one whose settings would lose records (finite retention, compaction, unclean leader
// election, fewer replicas or in-sync replicas than asked for), or warns of it if that was asked
// for. Waits for a broker, for a bounded time.
// Throws LogAway if none answers, or soon once `stop` is requested; LogUnavailable, with a sentence
// that names the setting, its value and the fix.
KafkaTopic prepare_kafka_topic(const KafkaConfig& config, Metrics& metrics,
                               const std::stop_token& stop);

}  // namespace contactd::infra
