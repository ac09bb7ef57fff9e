#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "infra/contact_feed.hpp"

// The cursor of a feed: the event that was seen last. It has the event's partition and offset, so
// that it holds across restarts, failovers and a rebuild of the projections; and a mark of the
// event itself, so that it isn't taken for another one: of another organization, or of a log that
// was restored from a backup and has gone on differently since.
namespace contactd::api {

struct FeedPosition {
  std::uint64_t offset = 0;  // 0: the beginning, before the first event
  std::uint64_t mark = 0;

  auto operator<=>(const FeedPosition&) const = default;
};

FeedPosition feed_beginning(const domain::OrganizationId& organization);
FeedPosition position_of(const infra::FeedItem& item);

struct FeedCursor {
  std::uint32_t partition = 0;
  FeedPosition position;

  auto operator<=>(const FeedCursor&) const = default;
};

std::string to_text(const FeedCursor& cursor);
// Nothing unless `text` is one that to_text() has made; a sum in it tells.
std::optional<FeedCursor> feed_cursor_from(std::string_view text);

}  // namespace contactd::api
