#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "domain/events.hpp"
#include "infra/event_log.hpp"

namespace contactd::infra {

// An event as the embedded log stores it:
//
//   format 1   its canonical bytes (projections/event_chain.hpp), which begin with a 1
//   format 2   format:1 (= 2)  chain-hash:32  its canonical bytes
//
// Stored for ever: another layout gets another format number.
std::string encode_record(const domain::RecordedEvent& event);

// What precedes the canonical bytes in the event's record.
std::string record_prefix(const domain::RecordedEvent& event);
// The canonical bytes in a record. REQUIRES: decode_record() gave an event for it.
std::string_view canonical_part(std::string_view record);

std::variant<domain::RecordedEvent, UnreadableRecord, ForeignRecord> decode_record(
    std::string_view bytes);

}  // namespace contactd::infra
