#include "infra/webhook_retry_after.hpp"

#include <algorithm>
#include <cctype>
#include <ctime>
#include <string>

namespace contactd::infra {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
}

// The names of days and months are those of the locale C, the program's.
std::optional<domain::Instant> read_date(const std::string& text) {
  for (const char* form :
       {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"}) {
    std::tm time{};
    const char* end = strptime(text.c_str(), form, &time);
    if (end != nullptr && *end == '\0') {
      return domain::Instant{milliseconds{seconds{timegm(&time)}}.count()};
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<milliseconds> retry_after(std::string_view value, domain::Instant now) {
  constexpr milliseconds max = webhook_retry_after_max;
  if (is_number(value)) {
    constexpr std::size_t digits_max = 6;  // more are more than the bound
    if (value.size() > digits_max) return max;
    return std::min(max, milliseconds{seconds{std::stol(std::string{value})}});
  }
  const auto date = read_date(std::string{value});
  if (!date) return std::nullopt;
  return std::clamp(milliseconds{date->unix_ms - now.unix_ms}, milliseconds{0}, max);
}

}  // namespace contactd::infra
