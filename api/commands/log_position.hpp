#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "domain/instant.hpp"
#include "infra/event_log.hpp"

namespace contactd::api {

// A place in the log, as commands take it: `OFFSET`, `PARTITION:OFFSET`, or a time (ISO 8601).
struct LogPosition {
  std::optional<std::uint32_t> partition;
  std::uint64_t offset = 0;
};
using LogPlace = std::variant<LogPosition, domain::Instant>;

std::optional<LogPlace> parse_log_place(const std::string& text);
// For CLI11: a sentence if it is none.
std::string check_log_place(const std::string& text);

std::string to_string(std::uint32_t partition, std::uint64_t offset);

// Throws UsageError unless the place is one of this log: with several partitions, an offset alone
// says too little.
void require_place_of(const LogPlace& place, std::uint32_t partitions);

// Whether what is at `offset` of `partition`, from `time`, is at or after the place.
bool at_or_after(const LogPlace& place, std::uint32_t partition, std::uint64_t offset,
                 domain::Instant time);
// Whether it is after it.
bool after(const LogPlace& place, std::uint32_t partition, std::uint64_t offset,
           domain::Instant time);
// Whether the place is in another partition, so that nothing of this one is meant.
bool names_another(const LogPlace& place, std::uint32_t partition);

}  // namespace contactd::api
