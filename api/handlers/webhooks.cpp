#include "api/cursor.hpp"
#include "api/handlers/handlers.hpp"
#include "api/handlers/json_body.hpp"
#include "api/limits.hpp"
#include "api/query_values.hpp"
#include "api/webhook_json.hpp"
#include "api/webhook_request.hpp"
#include "domain/json_text.hpp"
#include "infra/random.hpp"

// An organization's webhooks: endpoints that its events are sent to. They are events themselves,
// so that changes of them are commands for the writer like any other.
namespace contactd::api {
namespace {

namespace json = boost::json;
using domain::json_string;

std::optional<Response> refuse_webhook_idempotency(const Call& call) {
  return refuse_idempotency_key(call, "Webhooks", "/api/v1/webhooks");
}

// A precondition that was ignored would be taken for one that held (RFC 9110, section 13.1).
std::optional<Response> refuse_precondition(const Call& call) {
  for (const std::string_view name : {"If-Match", "If-None-Match"}) {
    if (!call.request.field(name)) continue;
    return error_response(
        call.format, 400,
        "Webhooks have no ETag, hence take no " + std::string{name} + "; leave it out");
  }
  return std::nullopt;
}

// What refuses a request that changes something, before its body is looked at.
std::optional<Response> refuse_change(const Call& call) {
  if (auto refused = refuse_params(call)) return refused;
  if (auto refused = refuse_webhook_idempotency(call)) return refused;
  return refuse_precondition(call);
}

OrResponse<domain::UpdateWebhook> read_body(const Call& call, bool creation) {
  return read_json(call, call.request.body, [&](const json::value& body) {
    return read_webhook_body(body, call.services.webhooks->rules, creation);
  });
}

// The webhook as an answer; with its secret where `secrets` is given.
Response webhook_response(const domain::Webhook& webhook, const infra::WebhookSecrets* secrets) {
  Response response;
  response.body = R"({"data":)";
  if (secrets != nullptr) {
    const std::string secret = secrets->secret(webhook.id, webhook.generation);
    response.body += webhook_json(webhook, &secret);
  } else {
    response.body += webhook_json(webhook, nullptr);
  }
  response.body += '}';
  return response;
}

struct Rendering {
  int status = 200;
  bool secret = false;
};

Write rendered_write(const Call& call, domain::Command command, const Rendering& rendering) {
  const domain::OrganizationId& organization = call.key->organization;
  Write write = write_for(call, organization, std::move(command));
  write.render = [format = call.format, organization, rendering,
                  &webhooks = *call.services.webhooks](const infra::Outcome& outcome) {
    if (const auto* changed = std::get_if<infra::WebhookAnswer>(&outcome.answer)) {
      Response response =
          webhook_response(changed->webhook, rendering.secret ? &webhooks.secrets : nullptr);
      response.status = rendering.status;
      if (rendering.status == 201) {
        response.with("Location", "/api/v1/webhooks/" + changed->webhook.id);
      }
      return response;
    }
    if (const auto* deleted = std::get_if<infra::WebhookDeletedAnswer>(&outcome.answer)) {
      Response response;
      response.body = R"({"deleted":true,"id":)" + json_string(deleted->webhook) + '}';
      return response;
    }
    return no_success(format, outcome,
                      "GET /api/v1/webhooks tells what there is; rotate a secret that you weren't "
                      "given");
  };
  return write;
}

std::optional<domain::Webhook> find_webhook(const Call& call) {
  return call.services.store.webhook(call.key->organization, call.id);
}

struct DeliveriesQuery {
  std::uint64_t limit = limits::page_size_default;
  std::optional<std::uint64_t> before;
};

// What a cursor leads on in.
std::string deliveries_of(const domain::WebhookId& webhook) { return "deliveries of " + webhook; }

ErrorText read_deliveries_param(DeliveriesQuery& query, const domain::WebhookId& webhook,
                                const std::string& name, const std::string& value) {
  if (name == "limit") {
    return read_number(query.limit, name, value, 1, limits::page_size_max);
  }
  if (name == "cursor") {
    if (value.empty()) return std::nullopt;  // from the newest on
    const auto text = without_checksum(value, deliveries_of(webhook));
    query.before = text ? whole_number(*text, 16) : std::nullopt;
    if (query.before) return std::nullopt;
    return std::string{bad_cursor};
  }
  return "Unknown query parameter '" + name + "'; known are limit, cursor";
}

std::variant<DeliveriesQuery, std::string> read_deliveries_query(const Call& call) {
  DeliveriesQuery query;
  const auto read = [&](const auto& name, const auto& value) {
    return read_deliveries_param(query, call.id, name, value);
  };
  if (auto error = read_params(call.target, read)) return *std::move(error);
  return query;
}

struct DeliveriesRead {
  const infra::WebhookJournal& journal;
  domain::WebhookId webhook;
  bool enabled;
  DeliveriesQuery query;

  Response operator()() const {
    auto deliveries = journal.list(webhook, query.before, query.limit + 1);
    const bool more = deliveries.size() > query.limit;
    if (more) deliveries.pop_back();
    Response response;
    response.body = R"({"data":[)";
    for (std::size_t i = 0; i < deliveries.size(); ++i) {
      if (i > 0) response.body += ',';
      response.body += delivery_json(deliveries[i], enabled);
    }
    response.body += R"(],"next_cursor":)";
    if (more) {
      std::string cursor;
      append_hex(cursor, deliveries.back().offset, 16);
      response.body += json_string(with_checksum(std::move(cursor), deliveries_of(webhook)));
    } else {
      response.body += "null";
    }
    response.body += '}';
    return response;
  }
};

Response webhook_not_found(const Call& call) {
  return rejection_response(call.format, domain::WebhookNotFound{});
}

// Whether the event was to be delivered to the webhook, as its settings are now or as they were.
bool is_delivery(const Call& call, const domain::Webhook& webhook, const infra::FeedItem& item) {
  if (infra::wants(webhook, item.event.kind) && item.event.time >= webhook.created_at) return true;
  const auto row = call.services.webhooks->journal.find(webhook.id, item.place.offset);
  return row && row->event == item.event.event;
}

}  // namespace

Handled create_webhook(const Call& call) {
  if (auto refused = refuse_change(call)) return *std::move(refused);
  auto body = read_body(call, true);
  if (auto* refused = std::get_if<Response>(&body)) return std::move(*refused);
  auto& request = std::get<domain::UpdateWebhook>(body);
  domain::CreateWebhook command;
  command.webhook = infra::new_contact_id().str();
  command.settings = {*std::move(request.url), request.description.value_or(""),
                      request.types.value_or(std::vector<std::string>{}),
                      request.enabled.value_or(true)};
  command.master = call.services.webhooks->secrets.mark();
  return rendered_write(call, std::move(command), {201, true});
}

Handled list_webhooks(const Call& call) {
  if (auto refused = refuse_params(call)) return *std::move(refused);
  Response response;
  response.body = R"({"data":[)";
  bool first = true;
  for (const domain::Webhook& webhook : call.services.store.webhooks(call.key->organization)) {
    if (!std::exchange(first, false)) response.body += ',';
    response.body += webhook_json(webhook, nullptr);
  }
  response.body += "]}";
  return response;
}

Handled get_webhook(const Call& call) {
  if (auto refused = refuse_params(call)) return *std::move(refused);
  const auto webhook = find_webhook(call);
  if (!webhook) return webhook_not_found(call);
  return webhook_response(*webhook, nullptr);
}

Handled update_webhook(const Call& call) {
  if (auto refused = refuse_change(call)) return *std::move(refused);
  auto body = read_body(call, false);
  if (auto* refused = std::get_if<Response>(&body)) return std::move(*refused);
  auto& command = std::get<domain::UpdateWebhook>(body);
  command.webhook = call.id;
  return rendered_write(call, std::move(command), {});
}

Handled delete_webhook(const Call& call) {
  if (auto refused = refuse_change(call)) return *std::move(refused);
  return rendered_write(call, domain::DeleteWebhook{call.id}, {});
}

Handled rotate_webhook_secret(const Call& call) {
  if (auto refused = refuse_change(call)) return *std::move(refused);
  return rendered_write(
      call, domain::RotateWebhookSecret{call.id, call.services.webhooks->secrets.mark()},
      {200, true});
}

Handled list_deliveries(const Call& call) {
  auto query = read_deliveries_query(call);
  if (const auto* sentence = std::get_if<std::string>(&query)) {
    return error_response(call.format, 400, *sentence);
  }
  const auto webhook = find_webhook(call);
  if (!webhook) return webhook_not_found(call);
  if (!call.services.webhooks) {
    // Without Retry-After, like what the router says of changes.
    return error_response(call.format, 503,
                          "This server is read-only and sends nothing, hence has no list of "
                          "deliveries; ask the one that writes");
  }
  return SlowRead{DeliveriesRead{call.services.webhooks->journal, call.id,
                                 webhook->settings.enabled, std::get<DeliveriesQuery>(query)}};
}

// Sends an event once more, whatever became of it.
Handled replay_delivery(const Call& call) {
  if (auto refused = refuse_change(call)) return *std::move(refused);
  const auto webhook = find_webhook(call);
  if (!webhook) return webhook_not_found(call);
  constexpr std::size_t id_length = 16;
  const auto offset =
      call.second_id.size() == id_length ? whole_number(call.second_id, 16) : std::nullopt;
  const auto item =
      offset ? infra::read_feed_item(call.services.store, call.key->organization, *offset)
             : std::nullopt;
  if (!item || !is_delivery(call, *webhook, *item)) {
    return error_response(call.format, 404, "Delivery not found");
  }
  if (!webhook->settings.enabled) {
    return error_response(call.format, 409,
                          "This webhook is disabled; enable it, then repeat the delivery");
  }
  if (!call.services.webhooks->dispatcher.replay(webhook->id, *offset)) {
    return overloaded(call.format, "Too many deliveries are being repeated; try again");
  }
  Response response;
  response.status = 202;
  response.body = R"({"accepted":true,"id":)" + json_string(call.second_id) + '}';
  return response;
}

}  // namespace contactd::api
