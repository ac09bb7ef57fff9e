#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "api/query.hpp"
#include "infra/contact_history.hpp"

// The query strings that ask for a contact's past. Each reader gives the sentence that says which
// parameter is wrong; a parameter may come once.
namespace contactd::api {

// Of GET /contacts/{id}: `version`, `at`, or neither.
std::variant<std::optional<infra::Moment>, std::string> read_moment(const Target& target);

// Of GET /contacts/{id}/history by this organization: `limit`, `cursor`, `field`.
std::variant<infra::HistoryQuery, std::string> read_history_query(
    const Target& target, const domain::OrganizationId& organization, std::string_view contact);

// The opaque text of a position in the contact's history: format:1 (= 3) and the version of the
// event that was seen last, 8 bytes, in hexadecimal; and a sum (cursor.hpp) with both.
std::string history_cursor(const domain::OrganizationId& organization, std::string_view contact,
                           domain::Version version);

}  // namespace contactd::api
