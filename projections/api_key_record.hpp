#pragma once

#include <string>
#include <string_view>

#include "domain/organization/api_key.hpp"

namespace contactd::projections {

// The row of table `api_keys`:
//   format:1 (= 2)  organization  name  contacts-scope:1  webhooks-scope:1  hash:32
//   created_ms:8  revoked_ms:8
// with a length of 32 bits before the two texts; revoked_ms is 0 for a key that holds.
std::string encode(const domain::ApiKey& key);
// Throws CorruptRecord.
domain::ApiKey read_api_key(std::string_view id, std::string_view row);

}  // namespace contactd::projections
