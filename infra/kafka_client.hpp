#pragma once

// Internal: includes librdkafka.
#include <chrono>
#include <cstdint>
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
  // Why a broker couldn't be spoken to; empty as long as nothing was in the way. Written and read
  // by the thread that polls the handle.
  std::string last_error;
};

using Settings = std::initializer_list<std::pair<const char*, std::string>>;

// A configuration with the user's properties and then ours; log lines, errors and statistics are
// wired to spdlog and metrics. Throws LogUnavailable if librdkafka refuses a value.
ConfPtr make_conf(const KafkaConfig& config, ClientContext& context, Settings settings);

// Throws LogUnavailable.
ClientPtr make_client(rd_kafka_type_t type, ConfPtr conf);

// The first offset of a partition, or one past its last, as its leader says.
struct AskedOffset {
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
  std::int64_t offset = -1;  // if there is no error
};
// `which` is RD_KAFKA_OFFSET_BEGINNING or RD_KAFKA_OFFSET_END. Blocks at most `patience`;
// rd_kafka_query_watermark_offsets(), whatever it is given, for as long as a broker is silent.
AskedOffset ask_offset(rd_kafka_t* client, const std::string& topic, std::uint32_t partition,
                       std::int64_t which, std::chrono::milliseconds patience);

// "FIELD: what it means", without contact data.
std::string text_of(rd_kafka_resp_err_t code);

}  // namespace contactd::infra::kafka
