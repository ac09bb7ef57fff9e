#pragma once

// Internal: includes librdkafka.
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "infra/event_log.hpp"
#include "infra/kafka_handles.hpp"

namespace contactd::infra::kafka {

// An event as a record of the topic.
struct Message {
  std::string key;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string value;
  std::int64_t time_ms = 0;
};

Message encode_message(const domain::RecordedEvent& event);

// Hands a record to the client. Returns nothing, or what is wrong; its owner is the caller.
rd_kafka_error_t* produce(const Message& message, rd_kafka_t* client, const std::string& topic,
                          std::uint32_t partition);

LogEntry decode_message(const rd_kafka_message_t& message);

}  // namespace contactd::infra::kafka
