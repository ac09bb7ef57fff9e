#pragma once

// Internal: includes librdkafka.
#include <initializer_list>
#include <string>
#include <utility>

#include "infra/kafka_config.hpp"
#include "infra/kafka_handles.hpp"
#include "infra/metrics.hpp"

namespace contactd::infra::kafka {

// What a handle's callbacks work with: its name in metrics and log lines, and where they go.
// Must outlive the handle.
struct ClientContext {
  std::string name;  // "writer.0", "reader", "group", "admin"
  Metrics* metrics = nullptr;
};

using Settings = std::initializer_list<std::pair<const char*, std::string>>;

// A configuration with the user's properties and then ours; log lines, errors and statistics are
// wired to spdlog and metrics. Throws LogUnavailable if librdkafka refuses a value.
ConfPtr make_conf(const KafkaConfig& config, ClientContext& context, Settings settings);

// Throws LogUnavailable.
ClientPtr make_client(rd_kafka_type_t type, ConfPtr conf);

// "FIELD: what it means", without contact data.
std::string text_of(rd_kafka_resp_err_t code);

}  // namespace contactd::infra::kafka
