#include "api/handlers/handlers.hpp"
#include "api/list_query.hpp"
#include "infra/contact_history.hpp"
#include "projections/contact_view.hpp"

namespace contactd::api {
namespace {

void append_member(std::string& out, std::string_view name, std::uint64_t value) {
  out += '"';
  out += name;
  out += "\":";
  out += std::to_string(value);
}

// A page of the present or of the past.
struct Page {
  std::vector<std::string> contacts;  // each its JSON
  std::uint64_t total = 0;
  std::optional<std::string> next_cursor;
};

Page present_page(const infra::ReadStore& store, const domain::OrganizationId& organization,
                  const ListRequest& request) {
  infra::ListPage page = store.list(organization, request.query);
  Page out{std::move(page.contacts), page.total, {}};
  if (page.more && page.last) out.next_cursor = cursor_text(request, organization, *page.last);
  return out;
}

Page past_page(const infra::ReadStore& store, const domain::OrganizationId& organization,
               const ListRequest& request) {
  const infra::ListQuery& paging = request.query;
  const infra::PastListPage page = infra::list_past_contacts(
      store, organization,
      {*request.at, paging.page_size, paging.skip, paging.after, paging.count});
  Page out{{}, page.total, {}};
  for (const domain::Contact& contact : page.contacts) {
    projections::append_contact_json(out.contacts.emplace_back(), contact);
  }
  if (page.more && page.last) out.next_cursor = cursor_text(request, organization, *page.last);
  return out;
}

Response list_response(const ListRequest& request, const Page& page,
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
    append_member(body, "page", request.page.value_or(1));
    body += ',';
  }
  append_member(body, "page_size", size);
  if (!request.by_cursor) {
    body += ',';
    append_member(body, "total_pages", (page.total + size - 1) / size);
  }
  body += R"(},"next_cursor":)";
  if (page.next_cursor) {
    body += '"' + *page.next_cursor + '"';
    response.with("Link", next_link("/api/v1/contacts", params, *page.next_cursor));
  } else {
    body += "null";
  }
  body += '}';
  return response;
}

}  // namespace

Handled list_contacts(const Call& call) {
  auto read = read_list_request(call.target, call.key->organization);
  if (const auto* sentence = std::get_if<std::string>(&read)) {
    return error_response(call.format, 400, *sentence);
  }
  auto& request = std::get<ListRequest>(read);
  request.query.partition = call.services.partitions.partition_of(call.key->organization);
  return SlowRead{[request = std::move(request), params = call.target.params,
                   organization = call.key->organization, &store = call.services.store] {
    const auto page_of = request.at ? past_page : present_page;
    return list_response(request, page_of(store, organization, request), params);
  }};
}

}  // namespace contactd::api
