#pragma once

#include <string>

#include "domain/organization/webhook.hpp"
#include "infra/webhook_journal.hpp"

// What answers about webhooks say.
namespace contactd::api {

// `secret` is shown at the creation and at a rotation only, and null else.
std::string webhook_json(const domain::Webhook& webhook, const std::string* secret);
// A delivery of a webhook that is `enabled` or not: nothing is attempted of one that isn't.
std::string delivery_json(const infra::WebhookDelivery& delivery, bool enabled);

}  // namespace contactd::api
