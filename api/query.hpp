#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace contactd::api {

// A request target in origin form (RFC 9112, section 3.2.1), taken apart.
struct Target {
  std::vector<std::string> segments;                        // of the path, decoded
  std::vector<std::pair<std::string, std::string>> params;  // of the query, decoded, in order
};

// Nothing unless `target` is a valid origin form, in which every %-sequence is one.
std::optional<Target> parse_target(std::string_view target);

// Percent-encodes what may not stand in a query's value.
std::string encode_query_value(std::string_view value);

}  // namespace contactd::api
