#include "infra/kafka_client.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <string_view>

#include "infra/errors.hpp"
#include "infra/log.hpp"

namespace contactd::infra::kafka {
namespace {

constexpr auto statistics_interval_ms = "5000";
constexpr auto socket_timeout_ms = "6000";
constexpr double microseconds_per_second = 1e6;

// Called by librdkafka's threads.
void on_log(const rd_kafka_t* client, int level, const char* facility, const char* line) {
  // A property that only the other kind of client uses: we give all of the user's to both.
  if (std::string_view{facility} == "CONFWARN") return;
  // Nothing that librdkafka says is worse than a warning: what it means is for contactd to judge.
  const auto severity = level <= 4   ? spdlog::level::warn
                        : level <= 6 ? spdlog::level::info
                                     : spdlog::level::debug;
  const auto* context = static_cast<const ClientContext*>(rd_kafka_opaque(client));
  spdlog::log(severity, "kafka {}: {}: {}", context == nullptr ? "" : context->name, facility,
              line);
}

void on_error(rd_kafka_t*, int code, const char* reason, void* opaque) {
  auto& context = *static_cast<ClientContext*>(opaque);
  const auto error = static_cast<rd_kafka_resp_err_t>(code);
  // librdkafka's log says it too, but for this one.
  const bool all_down = error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
  spdlog::log(all_down ? spdlog::level::warn : spdlog::level::debug, "kafka {}: {}: {}",
              context.name, rd_kafka_err2name(error), reason);
  if (!all_down) context.last_error = reason;
  if (context.metrics == nullptr) return;
  context.metrics->kafka_errors.Add({{"client", context.name}, {"error", rd_kafka_err2name(error)}})
      .Increment();
  if (all_down) context.metrics->kafka_up.Add({}).Set(0);
}

double number(const boost::json::object& object, std::string_view name) {
  const boost::json::value* value = object.if_contains(name);
  return value != nullptr && value->is_number() ? value->to_number<double>() : 0;
}

// The next start refuses such a topic; nothing else would show it before.
void show_start(Metrics& metrics, const std::string& topic, const std::string& partition,
                double start) {
  prometheus::Gauge& shown = metrics.kafka_start_offset.Add({{"partition", partition}});
  if (start > 0 && shown.Value() == 0) {
    spdlog::error(
        "Kafka topic {}, partition {}: records were deleted, all before offset {}. Look at its "
        "retention.ms, retention.bytes and cleanup.policy, and who may delete records; then "
        "restore "
        "it from a backup",
        topic, partition, start);
  }
  shown.Set(start);
}

void show_statistics(const ClientContext& context, const boost::json::object& statistics) {
  Metrics& metrics = *context.metrics;
  const prometheus::Labels client{{"client", context.name}};
  metrics.kafka_queue_messages.Add(client).Set(number(statistics, "msg_cnt"));
  metrics.kafka_queue_ops.Add(client).Set(number(statistics, "replyq"));
  bool up = false;
  for (const auto& [name, broker] : statistics.at("brokers").as_object()) {
    const auto& fields = broker.as_object();
    if (number(fields, "nodeid") < 0) continue;  // a bootstrap address, or the coordinator's alias
    up = up || fields.at("state").as_string() == "UP";
    const double rtt_us = number(fields.at("rtt").as_object(), "p99");
    metrics.kafka_rtt_seconds
        .Add({{"client", context.name},
              {"broker", std::to_string(static_cast<int>(number(fields, "nodeid")))}})
        .Set(rtt_us / microseconds_per_second);
  }
  if (context.name != "reader") return;
  metrics.kafka_up.Add({}).Set(up ? 1 : 0);
  for (const auto& [topic, of_topic] : statistics.at("topics").as_object()) {
    for (const auto& [id, partition] : of_topic.as_object().at("partitions").as_object()) {
      const auto& fields = partition.as_object();
      const double end = number(fields, "ls_offset");
      const double next = number(fields, "app_offset");
      if (id == "-1" || end < 0 || next < 0) continue;
      metrics.kafka_lag_records.Add({{"partition", std::string{id}}}).Set(end - next);
      show_start(metrics, topic, id, std::max(number(fields, "lo_offset"), 0.0));
    }
  }
}

int on_statistics(rd_kafka_t*, char* json, std::size_t size, void* opaque) {
  const auto& context = *static_cast<const ClientContext*>(opaque);
  boost::system::error_code ec;
  const auto statistics = boost::json::parse(boost::json::string_view{json, size}, ec);
  if (ec || context.metrics == nullptr) return 0;
  try {
    show_statistics(context, statistics.as_object());
  } catch (const std::exception& problem) {
    spdlog::debug("kafka {}: statistics: {}", context.name, problem.what());
  }
  return 0;  // librdkafka frees the text
}

void set(rd_kafka_conf_t& conf, const std::string& name, const std::string& value) {
  std::array<char, 512> reason{};
  if (rd_kafka_conf_set(&conf, name.c_str(), value.c_str(), reason.data(), reason.size()) ==
      RD_KAFKA_CONF_OK) {
    return;
  }
  throw LogUnavailable("librdkafka doesn't take the property " + name +
                       "; check it in --kafka-conf");
}

}  // namespace

ConfPtr make_conf(const KafkaConfig& config, ClientContext& context, Settings settings) {
  ConfPtr conf{rd_kafka_conf_new()};
  set(*conf, "client.id", config.name_space + "." + context.name);
  set(*conf, "statistics.interval.ms", statistics_interval_ms);
  // A broker that is back is found at once, not after librdkafka's ten seconds.
  set(*conf, "reconnect.backoff.max.ms", "1000");
  set(*conf, "topic.metadata.refresh.fast.interval.ms", "250");
  // One that falls silent and keeps its connections is given up, not waited for a minute.
  set(*conf, "socket.timeout.ms", socket_timeout_ms);
  for (const auto& [name, value] : config.properties) set(*conf, name, value);
  // Else a producer whose topic was deleted has it made anew, by default for a week's events.
  set(*conf, "allow.auto.create.topics", "false");
  set(*conf, "bootstrap.servers", config.bootstrap);
  set(*conf, "socket.nagle.disable", "true");
  for (const auto& [name, value] : settings) set(*conf, name, value);
  rd_kafka_conf_set_opaque(conf.get(), &context);
  rd_kafka_conf_set_log_cb(conf.get(), on_log);
  rd_kafka_conf_set_error_cb(conf.get(), on_error);
  rd_kafka_conf_set_stats_cb(conf.get(), on_statistics);
  return conf;
}

ClientPtr make_client(rd_kafka_type_t type, ConfPtr conf) {
  std::array<char, 512> reason{};
  rd_kafka_t* const client = rd_kafka_new(type, conf.get(), reason.data(), reason.size());
  if (client == nullptr) {
    throw LogUnavailable(std::string{"librdkafka can't start: "} + reason.data() +
                         "; check --kafka-conf");
  }
  static_cast<void>(conf.release());  // the client's now
  return ClientPtr{client};
}

AskedOffset ask_offset(rd_kafka_t* client, const std::string& topic, std::uint32_t partition,
                       std::int64_t which, std::chrono::milliseconds patience) {
  const PartitionsPtr asked{rd_kafka_topic_partition_list_new(1)};
  rd_kafka_topic_partition_t* const one = rd_kafka_topic_partition_list_add(
      asked.get(), topic.c_str(), static_cast<std::int32_t>(partition));
  one->offset = which;
  AskedOffset answer;
  answer.error =
      rd_kafka_offsets_for_times(client, asked.get(), static_cast<int>(patience.count()));
  if (answer.error == RD_KAFKA_RESP_ERR_NO_ERROR) answer.error = asked->elems[0].err;
  answer.offset = asked->elems[0].offset;
  // As it was asked for: nothing came in time.
  const bool silent = answer.error == RD_KAFKA_RESP_ERR_NO_ERROR && answer.offset < 0;
  if (silent) answer.error = RD_KAFKA_RESP_ERR__TIMED_OUT;
  return answer;
}

std::string text_of(rd_kafka_resp_err_t code) {
  return std::string{rd_kafka_err2name(code)} + ": " + rd_kafka_err2str(code);
}

}  // namespace contactd::infra::kafka
