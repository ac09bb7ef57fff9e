#pragma once

// Internal: includes librdkafka.
#include <string>

#include "domain/instant.hpp"
#include "infra/cloud_event.hpp"
#include "infra/event_log.hpp"
#include "infra/kafka_handles.hpp"

namespace contactd::infra::kafka {

// Hands the record to the client. Returns nothing, or what is wrong.
ErrorPtr produce(const KafkaRecord& record, domain::Instant time, rd_kafka_t* client,
                 const std::string& topic, std::uint32_t partition);

// A claim that was made when the topic had another number of partitions than `partitions` is
// unreadable: organizations may since have changed their partition.
LogEntry decode_message(const rd_kafka_message_t& message, std::uint32_t partitions);

}  // namespace contactd::infra::kafka
