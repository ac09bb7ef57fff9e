#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "api/query.hpp"
#include "domain/instant.hpp"

// Values that several endpoints' query strings have, and the digits that cursors are made of.
namespace contactd::api {

// No time, offset or version that is stored is greater: a cursor with such a number is made up.
inline constexpr std::uint64_t stored_number_max = std::numeric_limits<std::int64_t>::max();

// All of `text` as a whole number; nothing if it is none, or one past 64 bits.
std::optional<std::uint64_t> whole_number(std::string_view text, int base);
std::optional<std::uint64_t> number_between(std::string_view text, std::uint64_t low,
                                            std::uint64_t high);

void append_hex(std::string& out, std::uint64_t value, int digits);

// What is wrong with a request, to be told to who sent it; nothing: nothing is.
using ErrorText = std::optional<std::string>;

// Reads each parameter of the query string by `read`, up to the first that it finds something wrong
// with. One that comes twice is refused, whatever `read` says of it.
ErrorText read_params(
    const Target& target,
    const std::function<ErrorText(const std::string& name, const std::string& value)>& read);

// A parameter that is a whole number from `low` to `high`: sets `number`, or says what is wrong.
ErrorText read_number(std::uint64_t& number, const std::string& name, std::string_view value,
                      std::uint64_t low, std::uint64_t high);

// A time from 1970 on, and what to say of any other text.
std::optional<domain::Instant> time_value(std::string_view text);
std::string invalid_time(const std::string& name);

}  // namespace contactd::api
