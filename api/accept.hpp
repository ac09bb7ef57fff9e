#pragma once

#include <string_view>

#include "api/http_message.hpp"

// What a client accepts for an answer (RFC 9110, section 12.5.1).
namespace contactd::api {

// The weight, in thousandths, that Accept gives a media type which it names: 0 to 1000, and 1000
// where it says none, or none that can be read. -1 if it doesn't name the type: a range such as
// `*/*` isn't a name. Parameters of the type are passed over.
int named_weight(const Request& request, std::string_view media_type);
int named_weight(std::string_view accept, std::string_view media_type);

}  // namespace contactd::api
