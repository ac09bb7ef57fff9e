#pragma once

#include <boost/json/value.hpp>
#include <variant>

#include "domain/commands.hpp"
#include "domain/validation.hpp"
#include "infra/webhook_url.hpp"

// What requests that make or change a webhook say.
namespace contactd::api {

// What the body asks for, without the webhook's id; or all that is wrong with it. A creation must
// have a url.
std::variant<domain::UpdateWebhook, domain::ValidationErrors> read_webhook_body(
    const boost::json::value& body, const infra::WebhookUrlRules& rules, bool creation);

}  // namespace contactd::api
