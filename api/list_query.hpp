#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "api/query.hpp"
#include "domain/validation.hpp"
#include "infra/read_store.hpp"

namespace contactd::api {

// A list's query string, understood.
struct ListRequest {
  infra::ListQuery query;
  bool by_cursor = false;
  std::optional<std::uint64_t> page;
  // Where the list is asked for as it was: of the query above, only the paging counts then.
  std::optional<domain::Instant> at;
};

// What is wrong with a query string. Of paging, `sentence` is the same whatever it is; `errors`
// then say which parameter, and what it may be.
struct BadListRequest {
  std::string sentence;
  domain::ValidationErrors errors;
};

// Reads the query string of GET /contacts by this organization. A parameter may come once.
std::variant<ListRequest, BadListRequest> read_list_request(
    const Target& target, const domain::OrganizationId& organization);

// The opaque text of a position in the request's list: format:1 (1; of the past 2), the time of the
// update (of the past: of the creation) and the log's offset, 8 bytes each, in hexadecimal; and a
// sum (cursor.hpp) with the organization and, of the past, its time.
std::string cursor_text(const ListRequest& request, const domain::OrganizationId& organization,
                        const projections::keys::UpdatePosition& position);

}  // namespace contactd::api
