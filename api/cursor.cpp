#include "api/cursor.hpp"

#include "api/query_values.hpp"
#include "domain/sha256.hpp"

namespace contactd::api {
namespace {

constexpr std::size_t checksum_bytes = 4;
constexpr std::size_t checksum_length = 2 * checksum_bytes;

}  // namespace

std::string with_checksum(std::string text, std::string_view of) {
  const domain::Digest digest = domain::sha256(text, of);
  for (std::size_t i = 0; i < checksum_bytes; ++i) append_hex(text, digest[i], 2);
  return text;
}

std::optional<std::string_view> without_checksum(std::string_view text, std::string_view of) {
  if (text.size() < checksum_length) return std::nullopt;
  const std::string_view before = text.substr(0, text.size() - checksum_length);
  if (with_checksum(std::string{before}, of) != text) return std::nullopt;
  return before;
}

}  // namespace contactd::api
