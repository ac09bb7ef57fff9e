#include "api/accept.hpp"

#include <algorithm>

#include "api/http_grammar.hpp"

namespace contactd::api {
namespace {

constexpr int weight_max = 1000;

// A weight as the RFC writes it, `0.25` or `1`, of which no more than three digits follow the
// point; as if there were none otherwise.
int read_weight(std::string_view text) {
  if (text.empty() || (text[0] != '0' && text[0] != '1')) return weight_max;
  int weight = text[0] == '1' ? weight_max : 0;
  if (text.size() == 1) return weight;
  if (text[1] != '.' || text.size() > 5) return weight_max;
  int place = weight_max / 10;
  for (const char digit : text.substr(2)) {
    if (!is_digit(digit)) return weight_max;
    weight += (digit - '0') * place;
    place /= 10;
  }
  return std::min(weight, weight_max);
}

int weight_among(std::string_view parameters) {
  while (!parameters.empty()) {
    std::string_view parameter = take_until(parameters, ';');
    const std::string_view name = take_until(parameter, '=');
    if (equal_ignoring_case(name, "q")) return read_weight(parameter);
  }
  return weight_max;
}

}  // namespace

int named_weight(const Request& request, std::string_view media_type) {
  const auto accept = request.joined_field("Accept");
  return accept ? named_weight(*accept, media_type) : -1;
}

int named_weight(std::string_view accept, std::string_view media_type) {
  std::string_view list = accept;
  while (!list.empty()) {
    std::string_view item = take_until(list, ',');
    if (equal_ignoring_case(take_until(item, ';'), media_type)) return weight_among(item);
  }
  return -1;
}

}  // namespace contactd::api
