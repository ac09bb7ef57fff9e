#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "infra/event_log.hpp"
#include "infra/kafka_config.hpp"
#include "infra/metrics.hpp"

namespace contactd::infra {

// The log as a topic of Apache Kafka: claims and batches are transactions of a producer with the
// partition's stable id, reads are under read_committed. Offsets have gaps, where Kafka keeps
// records of its own. Any number of processes may open the same topic.
class KafkaEventLog : public EventLog {
 public:
  bool has_one_writer() const final { return false; }

  // Tells this log from every other: the cluster's id and the topic.
  virtual std::string identity() const = 0;
};

// Checks the topic first (kafka_topic.hpp). `metrics` must outlive the log.
// Throws LogAway if no broker answers for a bounded time, or soon once `stop` is requested; and
// LogUnavailable if the topic can't be used.
std::unique_ptr<KafkaEventLog> open_kafka_event_log(const KafkaConfig& config, Metrics& metrics,
                                                    const std::stop_token& stop = {});

}  // namespace contactd::infra
