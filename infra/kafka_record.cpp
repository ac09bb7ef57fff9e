#include "infra/kafka_record.hpp"

#include "infra/record_codec.hpp"

namespace contactd::infra::kafka {

Message encode_message(const domain::RecordedEvent& event) {
  return {event.organization.str(), {{"contactd", "1"}}, encode_record(event), event.time.unix_ms};
}

rd_kafka_error_t* produce(const Message& message, rd_kafka_t* client, const std::string& topic,
                          std::uint32_t partition) {
  HeadersPtr headers{rd_kafka_headers_new(message.headers.size())};
  for (const auto& [name, value] : message.headers) {
    rd_kafka_header_add(headers.get(), name.data(), static_cast<ssize_t>(name.size()), value.data(),
                        static_cast<ssize_t>(value.size()));
  }
  std::vector<rd_kafka_vu_t> parts(7);
  parts[0].vtype = RD_KAFKA_VTYPE_TOPIC;
  parts[0].u.cstr = topic.c_str();
  parts[1].vtype = RD_KAFKA_VTYPE_PARTITION;
  parts[1].u.i32 = static_cast<std::int32_t>(partition);
  parts[2].vtype = RD_KAFKA_VTYPE_KEY;
  parts[2].u.mem.ptr = const_cast<char*>(message.key.data());  // copied, though not declared const
  parts[2].u.mem.size = message.key.size();
  parts[3].vtype = RD_KAFKA_VTYPE_VALUE;
  parts[3].u.mem.ptr = const_cast<char*>(message.value.data());
  parts[3].u.mem.size = message.value.size();
  parts[4].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  parts[4].u.i = RD_KAFKA_MSG_F_COPY;
  parts[5].vtype = RD_KAFKA_VTYPE_HEADERS;
  parts[5].u.headers = headers.get();
  parts[6].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
  parts[6].u.i64 = message.time_ms;
  rd_kafka_error_t* error = rd_kafka_produceva(client, parts.data(), parts.size());
  if (error == nullptr) static_cast<void>(headers.release());  // the client's now
  return error;
}

LogEntry decode_message(const rd_kafka_message_t& message) {
  LogEntry entry;
  entry.offset = static_cast<std::uint64_t>(message.offset);
  rd_kafka_headers_t* headers = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
      rd_kafka_header_get_last(headers, "contactd", &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    entry.record = ForeignRecord{"it isn't an event of contactd's"};
    return entry;
  }
  std::visit([&](auto&& record) { entry.record = std::forward<decltype(record)>(record); },
             decode_record({static_cast<const char*>(message.payload), message.len}));
  return entry;
}

}  // namespace contactd::infra::kafka
