#include "api/handlers/handlers.hpp"
#include "api/list_query.hpp"

namespace contactd::api {
namespace {

void append_member(std::string& out, std::string_view name, std::uint64_t value) {
  out += '"';
  out += name;
  out += "\":";
  out += std::to_string(value);
}

// The same query, on from `cursor`: a Link of RFC 8288.
std::string next_link(const std::vector<std::pair<std::string, std::string>>& params,
                      const std::string& cursor) {
  std::string link = "</api/v1/contacts?cursor=" + cursor;
  for (const auto& [name, value] : params) {
    if (name == "page" || name == "cursor") continue;
    link += '&' + name + '=' + encode_query_value(value);
  }
  return link + R"(>; rel="next")";
}

Response list_response(const ListRequest& request, const infra::ListPage& page,
                       const std::vector<std::pair<std::string, std::string>>& params) {
  Response response;
  std::string& body = response.body;
  body = R"({"data":[)";
  for (std::size_t i = 0; i < page.contacts.size(); ++i) {
    if (i > 0) body += ',';
    body += page.contacts[i];
  }
  body += R"(],"pagination":{)";
  const std::uint64_t size = request.query.page_size;
  if (!request.by_cursor) {
    append_member(body, "total", page.total);
    body += ',';
    append_member(body, "page", request.page);
    body += ',';
  }
  append_member(body, "page_size", size);
  if (!request.by_cursor) {
    body += ',';
    append_member(body, "total_pages", (page.total + size - 1) / size);
  }
  body += R"(},"next_cursor":)";
  if (page.more && page.last) {
    const std::string cursor = cursor_text(*page.last);
    body += '"' + cursor + '"';
    response.with("Link", next_link(params, cursor));
  } else {
    body += "null";
  }
  body += '}';
  return response;
}

}  // namespace

Handled list_contacts(const Call& call) {
  auto read = read_list_request(call.target);
  if (const auto* sentence = std::get_if<std::string>(&read)) {
    return error_response(call.format, 400, *sentence);
  }
  return SlowRead{[request = std::get<ListRequest>(std::move(read)), params = call.target.params,
                   organization = call.key->organization, &store = call.services.store] {
    return list_response(request, store.list(organization, request.query), params);
  }};
}

}  // namespace contactd::api
