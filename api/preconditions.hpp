#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "domain/commands.hpp"

// Conditional requests (RFC 9110, section 13) on a contact's version.
namespace contactd::api {

// The strong ETag of a contact's version: `"3"`.
std::string etag_of(domain::Version version);

// Reads If-Match: `*`, or a list of entity tags, compared strongly, so that a weak one or one that
// contactd never issued matches nothing. Otherwise a sentence for the client.
std::variant<domain::Precondition, std::string> parse_if_match(std::string_view value);

// Whether If-None-Match names `version`, or is `*`: compared weakly. A value that is no list of
// entity tags matches nothing.
bool none_match_hits(std::string_view value, domain::Version version);

}  // namespace contactd::api
