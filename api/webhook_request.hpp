#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <variant>

#include "domain/commands.hpp"
#include "domain/organization/webhook.hpp"
#include "domain/validation.hpp"
#include "infra/webhook_journal.hpp"
#include "infra/webhook_url.hpp"

// What requests and answers about webhooks say.
namespace contactd::api {

// What the body asks for, without the webhook's id; or all that is wrong with it. A creation must
// have a url.
std::variant<domain::UpdateWebhook, domain::ValidationErrors> read_webhook_body(
    const boost::json::value& body, const infra::WebhookUrlRules& rules, bool creation);

// `secret` is shown at the creation and at a rotation only, and null else.
std::string webhook_json(const domain::Webhook& webhook, const std::string* secret);
// A delivery of a webhook that is `enabled` or not: nothing is attempted of one that isn't.
std::string delivery_json(const infra::WebhookDelivery& delivery, bool enabled);

}  // namespace contactd::api
