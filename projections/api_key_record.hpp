#pragma once

#include <string>
#include <string_view>

#include "domain/organization/api_key.hpp"

namespace contactd::projections {

// The row of table `api_keys`:
//   format:1 (= 2)  organization  name  contacts-scope:1  webhooks-scope:1  hash:32
//   created_ms:8  revoked:time  expires:time  replaces
// with a length of 32 bits before the texts; a time is 0, or 1 and its milliseconds in 8 bytes.
std::string encode(const domain::ApiKey& key);
// Throws CorruptRecord.
domain::ApiKey read_api_key(std::string_view id, std::string_view row);

}  // namespace contactd::projections
