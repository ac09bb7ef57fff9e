#include "infra/metrics.hpp"

#include <prometheus/text_serializer.h>

namespace contactd::infra {
namespace {

using namespace prometheus;

const Histogram::BucketBoundaries seconds = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                             0.025,  0.05,    0.1,    0.25,  0.5,    1,     5};
const Histogram::BucketBoundaries counts = {1, 2, 4, 8, 16, 32, 64, 128, 256};

Family<Counter>& counters(Registry& registry, const char* name, const char* help) {
  return BuildCounter().Name(name).Help(help).Register(registry);
}
Counter& counter(Registry& registry, const char* name, const char* help,
                 const Labels& labels = {}) {
  return counters(registry, name, help).Add(labels);
}
Gauge& gauge(Registry& registry, const char* name, const char* help) {
  return BuildGauge().Name(name).Help(help).Register(registry).Add({});
}
Family<Gauge>& gauges(Registry& registry, const char* name, const char* help) {
  return BuildGauge().Name(name).Help(help).Register(registry);
}
Family<Histogram>& histograms(Registry& registry, const char* name, const char* help) {
  return BuildHistogram().Name(name).Help(help).Register(registry);
}

constexpr auto append_failures = "contactd_log_append_failures_total";
constexpr auto append_failures_help = "Batches that were not known to be committed, by result";
constexpr auto fold_skipped = "contactd_fold_skipped_total";
constexpr auto fold_skipped_help = "Records of the log that were not applied, by reason";

}  // namespace

Metrics::Metrics()
    : http_requests(counters(*registry_, "contactd_http_requests_total",
                             "Answered requests, by method, route and status")),
      http_seconds(histograms(*registry_, "contactd_http_request_seconds",
                              "From a request's last byte to its answer, by route")),
      http_connections(gauge(*registry_, "contactd_http_connections", "Open client connections")),
      http_connections_refused(counter(*registry_, "contactd_http_connections_refused_total",
                                       "Connections turned away at the limit")),
      tls_handshakes_failed(counter(*registry_, "contactd_tls_handshakes_failed_total",
                                    "Connections that ended before TLS was agreed upon")),
      tls_certificate_ends(gauge(*registry_, "contactd_tls_certificate_end_seconds",
                                 "When the certificate in use ends, since 1970; 0: no TLS")),
      feed_followers(gauge(*registry_, "contactd_feed_followers",
                           "Streams and long polls that follow an organization's events")),
      feed_bytes(counter(*registry_, "contactd_feed_stream_bytes_total", "Sent to streams")),
      feed_stalled(counter(*registry_, "contactd_feed_stalled_total",
                           "Streams that were ended because their client read too slowly")),
      queue_commands(gauges(*registry_, "contactd_queue_commands",
                            "Commands that wait for the partition's writer")),
      queue_full(counter(*registry_, "contactd_queue_full_total",
                         "Commands refused because the queue was full")),
      batch_commands(histograms(*registry_, "contactd_batch_commands",
                                "Commands decided together, sharing one append")
                         .Add({}, counts)),
      log_events(counter(*registry_, "contactd_log_events_total", "Events committed to the log")),
      log_append_seconds(
          histograms(*registry_, "contactd_log_append_seconds", "Time to commit a batch to the log")
              .Add({}, seconds)),
      log_fenced(
          counter(*registry_, append_failures, append_failures_help, {{"result", "fenced"}})),
      log_unknown(
          counter(*registry_, append_failures, append_failures_help, {{"result", "unknown"}})),
      log_claims(counter(*registry_, "contactd_log_claims_total", "Claims of a partition")),
      fold_events(counter(*registry_, "contactd_fold_events_total", "Events folded")),
      fold_seconds(histograms(*registry_, "contactd_fold_seconds",
                              "Time to read back and fold a run of the log")
                       .Add({}, seconds)),
      fold_stale_claim(
          counter(*registry_, fold_skipped, fold_skipped_help, {{"reason", "stale_claim"}})),
      fold_out_of_sequence(
          counter(*registry_, fold_skipped, fold_skipped_help, {{"reason", "out_of_sequence"}})),
      fold_foreign(counter(*registry_, fold_skipped, fold_skipped_help, {{"reason", "foreign"}})),
      fold_offset(gauges(*registry_, "contactd_fold_offset", "The first offset not folded yet")),
      partition_serving(gauges(*registry_, "contactd_partition_serving",
                               "1 while the partition's writer takes commands")),
      webhook_deliveries(counters(*registry_, "contactd_webhook_deliveries_total",
                                  "Attempts to deliver an event to a webhook, by outcome")),
      webhook_given_up(counter(*registry_, "contactd_webhook_given_up_total",
                               "Events given up after the last attempt of the schedule")),
      webhook_disabled(counter(*registry_, "contactd_webhook_disabled_total",
                               "Webhooks disabled because they answered 410")),
      webhook_endpoints(gauge(*registry_, "contactd_webhook_endpoints",
                              "Enabled webhooks that this process delivers to")),
      webhook_pending(gauge(*registry_, "contactd_webhook_pending_events",
                            "Contacts with events that webhooks still have to be sent")),
      webhook_lag_seconds(gauge(*registry_, "contactd_webhook_lag_seconds",
                                "Age of the oldest event that a webhook still has to be sent")),
      kafka_up(gauges(*registry_, "contactd_kafka_up", "1 while a Kafka broker is connected")),
      kafka_errors(counters(*registry_, "contactd_kafka_errors_total",
                            "Errors of Kafka's clients, by client and error")),
      kafka_rtt_seconds(gauges(*registry_, "contactd_kafka_rtt_seconds",
                               "Round trip to a broker, 99th percentile of five seconds")),
      kafka_queue_messages(gauges(*registry_, "contactd_kafka_queue_messages",
                                  "Records that wait in a client to be sent")),
      kafka_queue_ops(gauges(*registry_, "contactd_kafka_queue_operations",
                             "What waits in a client to be taken by contactd")),
      kafka_lag_records(gauges(*registry_, "contactd_kafka_lag_records",
                               "Offsets between what was read and the partition's end")),
      kafka_start_offset(
          gauges(*registry_, "contactd_kafka_start_offset", "The first offset that is there")) {}

Gauge& of_partition(Family<Gauge>& family, std::uint32_t partition) {
  return family.Add({{"partition", std::to_string(partition)}});
}

std::string Metrics::text() const { return TextSerializer{}.Serialize(registry_->Collect()); }

}  // namespace contactd::infra
