#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <cstdint>
#include <memory>
#include <string>

namespace contactd::infra {

// Everything that contactd counts, for /metrics. The names and labels are public: dashboards and
// alarms have them. No label holds contact data, a key or an id that a client chose.
// Threads: any.
class Metrics {
 public:
  Metrics();

  // The Prometheus text format, version 0.0.4.
  std::string text() const;

 private:
  std::shared_ptr<prometheus::Registry> registry_ = std::make_shared<prometheus::Registry>();

 public:
  prometheus::Family<prometheus::Counter>& http_requests;   // method, route, status
  prometheus::Family<prometheus::Histogram>& http_seconds;  // route
  prometheus::Gauge& http_connections;
  prometheus::Counter& http_connections_refused;
  prometheus::Counter& tls_handshakes_failed;
  prometheus::Gauge& tls_certificate_ends;

  prometheus::Gauge& feed_followers;
  prometheus::Counter& feed_bytes;
  prometheus::Counter& feed_stalled;

  prometheus::Family<prometheus::Gauge>& queue_commands;  // partition
  prometheus::Counter& queue_full;
  prometheus::Histogram& batch_commands;

  prometheus::Counter& log_events;
  prometheus::Histogram& log_append_seconds;
  prometheus::Counter& log_fenced;
  prometheus::Counter& log_unknown;
  prometheus::Counter& log_claims;

  prometheus::Counter& fold_events;
  prometheus::Histogram& fold_seconds;
  prometheus::Counter& fold_stale_claim;
  prometheus::Counter& fold_out_of_sequence;
  prometheus::Counter& fold_foreign;
  prometheus::Family<prometheus::Gauge>& fold_offset;        // partition
  prometheus::Family<prometheus::Gauge>& partition_serving;  // partition

  prometheus::Family<prometheus::Counter>& webhook_deliveries;  // outcome
  prometheus::Counter& webhook_given_up;
  prometheus::Counter& webhook_disabled;
  prometheus::Gauge& webhook_endpoints;
  prometheus::Gauge& webhook_pending;
  prometheus::Gauge& webhook_lag_seconds;

  prometheus::Family<prometheus::Gauge>& kafka_up;        // one, with the log on Kafka; else none
  prometheus::Family<prometheus::Counter>& kafka_errors;  // client, error
  prometheus::Family<prometheus::Gauge>& kafka_rtt_seconds;     // client, broker
  prometheus::Family<prometheus::Gauge>& kafka_queue_messages;  // client
  prometheus::Family<prometheus::Gauge>& kafka_queue_ops;       // client
  prometheus::Family<prometheus::Gauge>& kafka_lag_records;     // partition
  prometheus::Family<prometheus::Gauge>& kafka_start_offset;    // partition
};

// The one of a family that has the label `partition`.
prometheus::Gauge& of_partition(prometheus::Family<prometheus::Gauge>& family,
                                std::uint32_t partition);

}  // namespace contactd::infra
