#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "domain/instant.hpp"

namespace contactd::infra {

// However long an endpoint asks for, no longer than this: by a slip it would else be never.
inline constexpr std::chrono::hours webhook_retry_after_max{24};

// How long a Retry-After of that value, which came at `now`, asks to wait: seconds, or until a date
// in one of HTTP's three forms (RFC 9110, sections 10.2.3 and 5.6.7); at most
// webhook_retry_after_max. Nothing if it is neither.
std::optional<std::chrono::milliseconds> retry_after(std::string_view value, domain::Instant now);

}  // namespace contactd::infra
