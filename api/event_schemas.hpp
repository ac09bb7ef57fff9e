#pragma once

#include <span>
#include <string_view>

namespace contactd::api {

// The JSON Schema (2020-12) of the data of an event type: api/schemas/<type>.json, built in.
struct EventSchema {
  std::string_view type;
  std::string_view text;
};

// One for each of domain::stored_types(), by type.
std::span<const EventSchema> event_schemas();

}  // namespace contactd::api
