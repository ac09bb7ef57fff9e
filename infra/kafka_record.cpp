#include "infra/kafka_record.hpp"

#include <array>
#include <vector>

namespace contactd::infra::kafka {
namespace {

std::string_view view(const void* bytes, std::size_t size) {
  return {static_cast<const char*>(bytes), size};
}

std::vector<KafkaHeaderView> headers_of(const rd_kafka_message_t& message) {
  std::vector<KafkaHeaderView> views;
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return views;
  views.reserve(rd_kafka_header_cnt(headers));
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  for (std::size_t i = 0;
       rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
       ++i) {
    views.emplace_back(name, view(value, size));
  }
  return views;
}

void require_partitions(LogEntry& entry, std::uint32_t partitions) {
  const auto* const event = std::get_if<domain::RecordedEvent>(&entry.record);
  const auto* const claim =
      event != nullptr ? std::get_if<domain::WriterClaimed>(&event->event) : nullptr;
  if (claim == nullptr || claim->partitions == 0 || claim->partitions == partitions) return;
  entry.record = UnreadableRecord{
      "it was written when the topic had " + std::to_string(claim->partitions) +
      " partitions, and now there are " + std::to_string(partitions) +
      ": partitions can't be added to a topic that has events; restore the topic as it was, from a "
      "copy of its brokers' disks"};
}

}  // namespace

ErrorPtr produce(const KafkaRecord& record, domain::Instant time, rd_kafka_t* client,
                 const std::string& topic, std::uint32_t partition) {
  HeadersPtr headers{rd_kafka_headers_new(record.headers.size())};
  for (const auto& [name, value] : record.headers) {
    rd_kafka_header_add(headers.get(), name.data(), static_cast<ssize_t>(name.size()), value.data(),
                        static_cast<ssize_t>(value.size()));
  }
  std::array<rd_kafka_vu_t, 7> parts{};
  parts[0].vtype = RD_KAFKA_VTYPE_TOPIC;
  parts[0].u.cstr = topic.c_str();
  parts[1].vtype = RD_KAFKA_VTYPE_PARTITION;
  parts[1].u.i32 = static_cast<std::int32_t>(partition);
  parts[2].vtype = RD_KAFKA_VTYPE_KEY;  // copied, as the value is, though neither is declared const
  parts[2].u.mem = {const_cast<char*>(record.key.data()), record.key.size()};
  parts[3].vtype = RD_KAFKA_VTYPE_VALUE;
  parts[3].u.mem = {const_cast<char*>(record.value.data()), record.value.size()};
  parts[4].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  parts[4].u.i = RD_KAFKA_MSG_F_COPY;
  parts[5].vtype = RD_KAFKA_VTYPE_HEADERS;
  parts[5].u.headers = headers.get();
  parts[6].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
  parts[6].u.i64 = time.unix_ms;
  ErrorPtr error{rd_kafka_produceva(client, parts.data(), parts.size())};
  if (!error) static_cast<void>(headers.release());  // the client's now
  return error;
}

LogEntry decode_message(const rd_kafka_message_t& message, std::uint32_t partitions) {
  LogEntry entry;
  entry.offset = static_cast<std::uint64_t>(message.offset);
  const auto headers = headers_of(message);
  const KafkaRecordView record{view(message.key, message.key_len), headers,
                               view(message.payload, message.len)};
  std::visit([&](auto&& one) { entry.record = std::forward<decltype(one)>(one); },
             decode_cloud_event(record));
  if (const auto* const event = std::get_if<domain::RecordedEvent>(&entry.record)) {
    entry.canonical = canonical_bytes(*event, record);
  }
  require_partitions(entry, partitions);
  return entry;
}

}  // namespace contactd::infra::kafka
