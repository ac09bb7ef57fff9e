#include "api/query_values.hpp"

#include <algorithm>
#include <charconv>
#include <set>

namespace contactd::api {

std::optional<std::uint64_t> whole_number(std::string_view text, int base) {
  std::uint64_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> number_between(std::string_view text, std::uint64_t low,
                                            std::uint64_t high) {
  const auto value = whole_number(text, 10);
  return value && *value >= low && *value <= high ? value : std::nullopt;
}

ErrorText read_params(
    const Target& target,
    const std::function<ErrorText(const std::string& name, const std::string& value)>& read) {
  std::set<std::string> names;
  for (const auto& [name, value] : target.params) {
    if (auto error = read(name, value)) return error;
    if (!names.insert(name).second) return "Query parameter '" + name + "' came more than once";
  }
  return std::nullopt;
}

ErrorText read_number(std::uint64_t& number, const std::string& name, std::string_view value,
                      std::uint64_t low, std::uint64_t high) {
  const auto found = number_between(value, low, high);
  if (!found) {
    return "Invalid query parameter '" + name + "': give a whole number from " +
           std::to_string(low) + " to " + std::to_string(high);
  }
  number = *found;
  return std::nullopt;
}

void append_hex(std::string& out, std::uint64_t value, int digits) {
  constexpr std::string_view hex = "0123456789abcdef";
  for (int i = digits - 1; i >= 0; --i) out += hex[(value >> (4 * i)) & 0x0FU];
}

std::optional<domain::Instant> time_value(std::string_view text) {
  auto time = domain::parse_iso8601(text);
  if (time) time->unix_ms = std::max<std::int64_t>(time->unix_ms, 0);  // before it nothing happened
  return time;
}

std::string invalid_time(const std::string& name) {
  return "Invalid query parameter '" + name +
         "': give a time such as 2025-07-15T10:30:00.000Z (a + in it is written %2B)";
}

}  // namespace contactd::api
