#pragma once

#include <string>
#include <string_view>

#include "domain/organization/webhook.hpp"

namespace contactd::projections {

// The row of table `webhooks`:
//   format:1 (= 1)  created_ms:8  updated_ms:8  enabled:1  generation:4  master:8  master_before:8
//   rotated_ms:8 (0: never)  next_offset:8  url  description  disabled_reason  types  pending
// with a length of 32 bits before each text, and a count of 32 bits before each of the two lists;
// a type is a text, what is pending an offset of 64 bits.
std::string encode(const domain::Webhook& webhook);
// Throws CorruptRecord. `key` is the row's.
domain::Webhook read_webhook(std::string_view key, std::string_view row);

}  // namespace contactd::projections
