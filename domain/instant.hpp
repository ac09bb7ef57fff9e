#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace contactd::domain {

// A point in time, in milliseconds since 1970-01-01T00:00:00Z.
struct Instant {
  std::int64_t unix_ms = 0;
  auto operator<=>(const Instant&) const = default;
};

// `2025-07-15T10:30:00.000Z`: UTC, milliseconds, always 24 characters for the years 0000 to 9999.
// Appends to `out`.
void append_iso8601(std::string& out, Instant instant);
std::string to_iso8601(Instant instant);

// The same as a JSON value, in quotes; `null` where there is none.
std::string json_time(const std::optional<Instant>& time);

// Reads `YYYY-MM-DDThh:mm:ss`, an optional fraction (digits past milliseconds are cut off) and
// `Z` or an offset `±hh:mm` (RFC 3339), or a date alone, which is its first instant in UTC.
// `t` and `z` will do. Returns nothing on anything else, or if it isn't of the years 0 to 9999.
std::optional<Instant> parse_iso8601(std::string_view text);

}  // namespace contactd::domain
