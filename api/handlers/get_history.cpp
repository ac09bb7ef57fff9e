#include "api/handlers/handlers.hpp"
#include "api/past_query.hpp"
#include "domain/json_text.hpp"

namespace contactd::api {
namespace {

using domain::json_string;

// Who did it: an API key by its id and its name, revoked or not; else what the event says.
void append_actor(std::string& out, const std::string& actor, const infra::ReadStore& store) {
  const auto key = store.api_key(actor);
  out +=
      R"({"id":)" + json_string(actor) + R"(,"name":)" + json_string(key ? key->name : actor) + '}';
}

void append_item(std::string& out, const infra::HistoryPage::Item& item,
                 const infra::ReadStore& store) {
  const projections::HistoryEntry& entry = item.entry;
  out += R"({"id":")" + entry.event.str() + R"(","type":")";
  out += projections::type_of(entry.kind);
  out += R"(","version":)" + std::to_string(item.version) + R"(,"time":")";
  domain::append_iso8601(out, entry.time);
  out += R"(","actor":)";
  append_actor(out, entry.actor, store);
  out += R"(,"request_id":)" + json_string(entry.request_id) + R"(,"changes":)";
  out += entry.changes.empty() ? "{}" : entry.changes;
  out += '}';
}

struct HistoryRead {
  const infra::ReadStore& store;
  ErrorFormat format;
  domain::OrganizationId organization;
  domain::ContactId contact;
  infra::HistoryQuery query;
  std::vector<std::pair<std::string, std::string>> params;

  Response operator()() const {
    const infra::HistoryPage page = infra::read_history(store, organization, contact, query);
    if (!page.known) return rejection_response(format, domain::ContactNotFound{});
    Response response;
    std::string& body = response.body;
    body = R"({"data":[)";
    for (std::size_t i = 0; i < page.items.size(); ++i) {
      if (i > 0) body += ',';
      append_item(body, page.items[i], store);
    }
    body += R"(],"next_cursor":)";
    if (page.more) {
      const std::string cursor =
          history_cursor(organization, contact.view(), page.items.back().version);
      body += '"' + cursor + '"';
      response.with("Link",
                    next_link("/api/v1/contacts/" + contact.str() + "/history", params, cursor));
    } else {
      body += "null";
    }
    body += '}';
    return response;
  }
};

}  // namespace

Handled get_history(const Call& call) {
  auto query = read_history_query(call.target, call.key->organization, call.id);
  if (const auto* sentence = std::get_if<std::string>(&query)) {
    return error_response(call.format, 400, *sentence);
  }
  const auto contact = domain::ContactId::parse(call.id);
  if (!contact) return rejection_response(call.format, domain::ContactNotFound{});
  return SlowRead{HistoryRead{call.services.store, call.format, call.key->organization, *contact,
                              std::get<infra::HistoryQuery>(std::move(query)), call.target.params}};
}

}  // namespace contactd::api
