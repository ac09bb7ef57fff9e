#pragma once

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "tests/support/api_fixture.hpp"

// How tests run contactd's other commands beside a server.
namespace contactd::test {

// Runs `contactd` with these arguments.
inline Finished contactd(std::vector<std::string> arguments,
                         std::map<std::string, std::string> environment = {}) {
  arguments.insert(arguments.begin(), contactd_binary());
  return run_program(std::move(arguments), std::move(environment));
}

// The same, and the server's log in the flags.
inline Finished contactd_on_log(const ServerProcess& server, std::vector<std::string> arguments) {
  const auto flags = server.reading_flags();
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  return contactd(std::move(arguments));
}

// Each line of `text` as JSON.
inline std::vector<boost::json::value> json_lines(const std::string& text) {
  std::vector<boost::json::value> values;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    values.push_back(boost::json::parse(std::string_view{text}.substr(at, end - at)));
    at = end + 1;
  }
  return values;
}

inline std::string text_at(const boost::json::value& value, std::string_view member) {
  const auto* found = value.as_object().if_contains(member);
  return found == nullptr ? "" : boost::json::value_to<std::string>(*found);
}

}  // namespace contactd::test
