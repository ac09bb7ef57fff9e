#pragma once

#include <spdlog/spdlog.h>

#include <string>

namespace contactd::infra {

// Log lines go to standard error, as text or as one JSON object a line. No line holds contact data
// or a key: what is logged of a request is its method, route, status, times and ids.
// REQUIRES: `level` is one of trace, debug, info, warn, error; `format` is plain or json.
void configure_log(const std::string& level, const std::string& format);

// A message of RocksDB's without the keys that it shows in hex: they have emails in them.
std::string without_keys(std::string message);

}  // namespace contactd::infra
