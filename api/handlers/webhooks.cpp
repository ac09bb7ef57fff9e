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

// What refuses a request that changes something, before its body is looked at.
std::optional<Response> refuse_change(const Call& call) {
  if (auto refused = refuse_params(call)) return refused;
  if (auto refused = refuse_webhook_idempotency(call)) return refused;
  return refuse_preconditions(call, "Webhooks have no ETag");
}

OrResponse<domain::UpdateWebhook> read_body(const Call& call, bool creation) {
  return read_json(call, call.request.body, [&](const json::value& body) {
    return read_webhook_body(body, call.services.webhooks->rules, creation);
  });
}

// Why nothing is sent to the webhook though it is enabled; empty if something is, or it isn't. A
// server that is read-only has no `webhooks`.
std::string_view unserved_reason(const WebhookServices* webhooks, const domain::Webhook& webhook) {
  if (!webhook.settings.enabled) return {};
  if (webhooks == nullptr) return "read_only";
  const auto obstacle = webhooks->dispatcher.obstacle(webhook);
  return obstacle ? infra::name_of(*obstacle) : std::string_view{};
}

const WebhookServices* services_of(const Call& call) {
  return call.services.webhooks ? &*call.services.webhooks : nullptr;
}

// The webhook as an answer; with its secret, if that is to be shown.
Response webhook_response(const WebhookServices* webhooks, const domain::Webhook& webhook,
                          bool with_secret) {
  const std::string secret =
      with_secret ? webhooks->secrets.secret(webhook.id, webhook.generation) : std::string{};
  Response response;
  response.body =
      R"({"data":)" +
      webhook_json(webhook, with_secret ? &secret : nullptr, unserved_reason(webhooks, webhook)) +
      '}';
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
                  webhooks = services_of(call)](const infra::Outcome& outcome) {
    if (const auto* changed = std::get_if<infra::WebhookAnswer>(&outcome.answer)) {
      Response response = webhook_response(webhooks, changed->webhook, rendering.secret);
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
  bool served;
  DeliveriesQuery query;

  Response operator()() const {
    auto deliveries = journal.list(webhook, query.before, query.limit + 1);
    const bool more = deliveries.size() > query.limit;
    if (more) deliveries.pop_back();
    Response response;
    response.body = R"({"data":[)";
    for (std::size_t i = 0; i < deliveries.size(); ++i) {
      if (i > 0) response.body += ',';
      response.body += delivery_json(deliveries[i], served);
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

Response replay_response(const Call& call, infra::WebhookDispatcher::Replay replay) {
  using Replay = infra::WebhookDispatcher::Replay;
  switch (replay) {
    case Replay::accepted: {
      Response response;
      response.status = 202;
      response.body = R"({"accepted":true,"id":)" + json_string(call.second_id) + '}';
      return response;
    }
    case Replay::too_many:
      return overloaded(call.format, "Too many deliveries are being repeated; try again");
    case Replay::not_now:
      return overloaded(call.format,
                        "Nothing is sent while the log can't be written; /readyz says why. "
                        "Try again");
  }
  std::abort();
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
    response.body += webhook_json(webhook, nullptr, unserved_reason(services_of(call), webhook));
  }
  response.body += "]}";
  return response;
}

Handled get_webhook(const Call& call) {
  if (auto refused = refuse_params(call)) return *std::move(refused);
  const auto webhook = find_webhook(call);
  if (!webhook) return webhook_not_found(call);
  return webhook_response(services_of(call), *webhook, false);
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
  const bool served =
      webhook->settings.enabled && unserved_reason(services_of(call), *webhook).empty();
  return SlowRead{DeliveriesRead{call.services.webhooks->journal, call.id, served,
                                 std::get<DeliveriesQuery>(query)}};
}

// Sends an event once more, whatever became of it.
Handled replay_delivery(const Call& call) {
  if (auto refused = refuse_change(call)) return *std::move(refused);
  const auto webhook = find_webhook(call);
  if (!webhook) return webhook_not_found(call);
  constexpr std::size_t id_length = 16;
  const auto offset =
      call.second_id.size() == id_length ? whole_number(call.second_id, 16) : std::nullopt;
  auto item = offset ? infra::read_feed_item(call.services.store, call.key->organization, *offset)
                     : std::nullopt;
  if (!item || !is_delivery(call, *webhook, *item)) {
    return error_response(call.format, 404, "Delivery not found");
  }
  if (!webhook->settings.enabled) {
    return error_response(call.format, 409,
                          "This webhook is disabled; enable it, then repeat the delivery");
  }
  infra::WebhookDispatcher& dispatcher = call.services.webhooks->dispatcher;
  if (const auto obstacle = dispatcher.obstacle(*webhook)) {
    return error_response(call.format, 409,
                          "This webhook isn't served: " + std::string{infra::words_of(*obstacle)});
  }
  return replay_response(call, dispatcher.replay(*webhook, *std::move(item)));
}

}  // namespace contactd::api
