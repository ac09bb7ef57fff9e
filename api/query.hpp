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

// The value of a Link field (RFC 8288) for what follows: the same query of `path` from the cursor
// on.
std::string next_link(const std::string& path,
                      const std::vector<std::pair<std::string, std::string>>& params,
                      const std::string& cursor);

}  // namespace contactd::api
