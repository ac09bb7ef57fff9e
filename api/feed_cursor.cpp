#include "api/feed_cursor.hpp"

#include <algorithm>

#include "api/query_values.hpp"
#include "infra/random.hpp"

namespace contactd::api {
namespace {

constexpr std::uint64_t feed_cursor_format = 4;
constexpr std::size_t sum_length = 8;
constexpr std::size_t text_length = 2 + 8 + 16 + 16 + sum_length;

template <class Bytes>
std::uint64_t number_of(const Bytes& bytes, std::size_t from, std::size_t count) {
  std::uint64_t number = 0;
  for (std::size_t i = from; i < from + count; ++i) number = number << 8U | bytes[i];
  return number;
}

std::uint64_t sum_of(std::string_view text) { return number_of(infra::sha256(text), 0, 4); }

}  // namespace

FeedPosition feed_beginning(const domain::OrganizationId& organization) {
  return {0, number_of(infra::sha256(organization.str()), 0, 8)};
}

// The last eight bytes of an event's id are random.
FeedPosition position_of(const infra::FeedItem& item) {
  return {item.place.offset, number_of(item.event.event.bytes, 8, 8)};
}

std::string to_text(const FeedCursor& cursor) {
  std::string text;
  text.reserve(text_length);
  append_hex(text, feed_cursor_format, 2);
  append_hex(text, cursor.partition, 8);
  append_hex(text, cursor.position.offset, 16);
  append_hex(text, cursor.position.mark, 16);
  append_hex(text, sum_of(text), sum_length);
  return text;
}

std::optional<FeedCursor> feed_cursor_from(std::string_view text) {
  if (text.size() != text_length) return std::nullopt;
  const auto format = whole_number(text.substr(0, 2), 16);
  const auto partition = whole_number(text.substr(2, 8), 16);
  const auto offset = whole_number(text.substr(10, 16), 16);
  const auto mark = whole_number(text.substr(26, 16), 16);
  if (format != feed_cursor_format || !partition || !offset || !mark) return std::nullopt;
  const FeedCursor cursor{static_cast<std::uint32_t>(*partition), {*offset, *mark}};
  if (to_text(cursor) != text) return std::nullopt;
  return cursor;
}

}  // namespace contactd::api
