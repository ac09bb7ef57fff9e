#include "api/handlers/handlers.hpp"
#include "api/limits.hpp"
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

std::size_t bytes_of(const Page& page) {
  std::size_t bytes = 0;
  for (const std::string& contact : page.contacts) bytes += contact.size();
  return bytes;
}

// How many contacts of the page, one at least, have no more bytes than a page may have.
std::size_t count_that_fits(const Page& page) {
  std::size_t bytes = 0;
  std::size_t count = 0;
  for (const std::string& contact : page.contacts) {
    bytes += contact.size();
    if (count > 0 && bytes > limits::page_bytes_max) break;
    ++count;
  }
  return count;
}

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

// A cursor goes on from any contact, so that its pages can be bounded by their bytes. That one is
// too long is seldom: then it is read again, by so many contacts as fit, to learn where the next
// one begins. They may have grown meanwhile.
Page read_page(const infra::ReadStore& store, const domain::OrganizationId& organization,
               ListRequest request) {
  const auto page_of = request.at ? past_page : present_page;
  for (;;) {
    Page page = page_of(store, organization, request);
    const std::size_t count = count_that_fits(page);
    if (!request.by_cursor || count == page.contacts.size()) return page;
    request.query.page_size = count;
  }
}

Response list_response(const ListRequest& request, const Page& page,
                       const std::vector<std::pair<std::string, std::string>>& params) {
  Response response;
  std::string& body = response.body;
  constexpr std::size_t pagination_bytes = 512;
  body.reserve(bytes_of(page) + page.contacts.size() + pagination_bytes);
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
  if (const auto* bad = std::get_if<BadListRequest>(&read)) {
    return invalid_query(call.format, bad->sentence, bad->errors);
  }
  auto& request = std::get<ListRequest>(read);
  if (!call.services.read_only) {
    request.query.partition = call.services.partitions.partition_of(call.key->organization);
  }
  return SlowRead{[request = std::move(request), params = call.target.params,
                   organization = call.key->organization, &store = call.services.store] {
    return list_response(request, read_page(store, organization, request), params);
  }};
}

}  // namespace contactd::api
