#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "domain/events.hpp"
#include "infra/event_log.hpp"

namespace contactd::infra {

// An event as the embedded log stores it:
//
//   format:1 (= 1)  event-id:16  time_ms:8  claim:8  sequence:8
//   type  organization  actor  request-id          each a length of 32 bits and the bytes
//   idempotency:1 (0 or 1)  [key-digest:32  request-digest:32]
//   data                                           a length of 32 bits and the JSON
//
// Numbers are big-endian. Stored for ever: another layout gets another format number.
std::string encode_record(const domain::RecordedEvent& event);

std::variant<domain::RecordedEvent, UnreadableRecord, ForeignRecord> decode_record(
    std::string_view bytes);

}  // namespace contactd::infra
