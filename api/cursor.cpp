#include "api/cursor.hpp"

#include "api/query_values.hpp"
#include "domain/sha256.hpp"

namespace contactd::api {
namespace {

constexpr std::size_t sum_bytes = 4;
constexpr std::size_t sum_length = 2 * sum_bytes;

}  // namespace

std::string with_sum(std::string text, std::string_view of) {
  const domain::Digest digest = domain::sha256(text, of);
  for (std::size_t i = 0; i < sum_bytes; ++i) append_hex(text, digest[i], 2);
  return text;
}

std::optional<std::string_view> without_sum(std::string_view text, std::string_view of) {
  if (text.size() < sum_length) return std::nullopt;
  const std::string_view before = text.substr(0, text.size() - sum_length);
  if (with_sum(std::string{before}, of) != text) return std::nullopt;
  return before;
}

}  // namespace contactd::api
