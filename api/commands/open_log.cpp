#include "api/commands/open_log.hpp"

#include "api/data_dir.hpp"
#include "infra/embedded_event_log.hpp"
#include "infra/kafka_event_log.hpp"
#include "infra/log.hpp"
#include "infra/log_identity.hpp"

namespace contactd::api {

OpenedLog open_log_for_reading(const LogOptions& options) {
  infra::configure_log("error", "plain");
  OpenedLog opened{std::make_unique<infra::Metrics>(), nullptr,
                   std::string{infra::embedded_log_identity}};
  if (options.on_kafka()) {
    infra::KafkaConfig kafka = options.kafka;
    kafka.create_topic = false;
    kafka.allow_unsafe = true;  // that is for the server to refuse: here nothing is written
    auto log = infra::open_kafka_event_log(kafka, *opened.metrics);
    opened.identity = log->identity();
    opened.log = std::move(log);
  } else {
    require_whole(options.data_dir);
    opened.log = infra::open_embedded_log_reader(options.data_dir / "log");
  }
  return opened;
}

}  // namespace contactd::api
