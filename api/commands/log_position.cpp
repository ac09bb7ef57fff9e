#include "api/commands/log_position.hpp"

#include <limits>

#include "api/commands/command_line.hpp"
#include "api/query_values.hpp"

namespace contactd::api {

std::optional<LogPlace> parse_log_place(const std::string& text) {
  if (const auto offset = whole_number(text, 10)) return LogPosition{std::nullopt, *offset};
  const std::size_t colon = text.find(':');
  if (colon != std::string::npos) {
    const auto partition =
        number_between(text.substr(0, colon), 0, std::numeric_limits<std::uint32_t>::max());
    const auto offset = whole_number(text.substr(colon + 1), 10);
    if (partition && offset) return LogPosition{static_cast<std::uint32_t>(*partition), *offset};
  }
  if (const auto time = domain::parse_iso8601(text)) return *time;
  return std::nullopt;
}

std::string check_log_place(const std::string& text) {
  if (parse_log_place(text)) return {};
  return "'" + text +
         "' is no place in the log; give an offset, PARTITION:OFFSET, or a time such as "
         "2025-07-15T10:30:00Z";
}

std::string to_string(std::uint32_t partition, std::uint64_t offset) {
  return std::to_string(partition) + ':' + std::to_string(offset);
}

void require_place_of(const LogPlace& place, std::uint32_t partitions) {
  const auto* position = std::get_if<LogPosition>(&place);
  if (position == nullptr) return;
  if (!position->partition && partitions > 1) {
    throw UsageError("the log has " + std::to_string(partitions) +
                     " partitions; say which one, as PARTITION:OFFSET, or give a time");
  }
  if (position->partition.value_or(0) >= partitions) {
    throw UsageError("the log has no partition " + std::to_string(*position->partition) + ", but " +
                     std::to_string(partitions) + " from 0 on");
  }
}

bool at_or_after(const LogPlace& place, std::uint32_t partition, std::uint64_t offset,
                 domain::Instant time) {
  if (const auto* when = std::get_if<domain::Instant>(&place)) return time >= *when;
  const auto& position = std::get<LogPosition>(place);
  return position.partition.value_or(0) == partition && offset >= position.offset;
}

bool after(const LogPlace& place, std::uint32_t partition, std::uint64_t offset,
           domain::Instant time) {
  if (const auto* when = std::get_if<domain::Instant>(&place)) return time > *when;
  const auto& position = std::get<LogPosition>(place);
  return position.partition.value_or(0) == partition && offset > position.offset;
}

bool names_another(const LogPlace& place, std::uint32_t partition) {
  const auto* position = std::get_if<LogPosition>(&place);
  return position != nullptr && position->partition.value_or(0) != partition;
}

}  // namespace contactd::api
