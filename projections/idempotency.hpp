#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "domain/events.hpp"
#include "domain/instant.hpp"

namespace contactd::projections {

// How long a record answers repeats of its request.
inline constexpr std::int64_t idempotency_kept_ms = 24LL * 60 * 60 * 1000;

struct ContactAnswer {
  bool created = false;
  domain::Version version = 0;
  std::string json;  // of the contact, as it was then
};
struct DeletedAnswer {
  domain::ContactId contact;
};

// What the first request with an Idempotency-Key was told, whole: a repeat gets the same bytes.
struct IdempotencyRecord {
  domain::Digest request{};
  domain::Instant time;
  std::variant<ContactAnswer, DeletedAnswer, domain::Rejection> answer;

  bool expired(domain::Instant now) const {
    return now.unix_ms - time.unix_ms >= idempotency_kept_ms;
  }
};

std::string encode(const IdempotencyRecord& record);
IdempotencyRecord read_idempotency(std::string_view record);  // throws CorruptRecord

}  // namespace contactd::projections
