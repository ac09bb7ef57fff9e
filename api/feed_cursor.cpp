#include "api/feed_cursor.hpp"

#include "api/cursor.hpp"
#include "api/query_values.hpp"
#include "domain/sha256.hpp"

namespace contactd::api {
namespace {

constexpr std::uint64_t feed_cursor_format = 4;
constexpr std::size_t summed_length = 2 + 8 + 16 + 16;

template <class Bytes>
std::uint64_t number_of(const Bytes& bytes, std::size_t from, std::size_t count) {
  std::uint64_t number = 0;
  for (std::size_t i = from; i < from + count; ++i) number = number << 8U | bytes[i];
  return number;
}

}  // namespace

FeedPosition feed_beginning(const domain::OrganizationId& organization) {
  return {0, number_of(domain::sha256(organization.str()), 0, 8)};
}

// The last eight bytes of an event's id are random.
FeedPosition position_of(const infra::FeedItem& item) {
  return {item.place.offset, number_of(item.event.event.bytes, 8, 8)};
}

std::string to_text(const FeedCursor& cursor) {
  std::string text;
  append_hex(text, feed_cursor_format, 2);
  append_hex(text, cursor.partition, 8);
  append_hex(text, cursor.position.offset, 16);
  append_hex(text, cursor.position.mark, 16);
  return with_checksum(std::move(text), {});  // the marks say whose it is
}

std::optional<FeedCursor> feed_cursor_from(std::string_view sent) {
  const auto summed = without_checksum(sent, {});
  if (!summed || summed->size() != summed_length) return std::nullopt;
  const std::string_view text = *summed;
  const auto format = whole_number(text.substr(0, 2), 16);
  const auto partition = whole_number(text.substr(2, 8), 16);
  const auto offset = whole_number(text.substr(10, 16), 16);
  const auto mark = whole_number(text.substr(26, 16), 16);
  if (format != feed_cursor_format || !partition || !offset || !mark) return std::nullopt;
  return FeedCursor{static_cast<std::uint32_t>(*partition), {*offset, *mark}};
}

}  // namespace contactd::api
