#pragma once

#include <string>
#include <string_view>

#include "domain/organization/webhook.hpp"
#include "infra/webhook_journal.hpp"

// What answers about webhooks say.
namespace contactd::api {

// `secret` is shown at the creation and at a rotation only, and null else. `unserved_reason` is why
// nothing is sent to it though it is enabled; empty: it is sent what happens, or it isn't enabled.
std::string webhook_json(const domain::Webhook& webhook, const std::string* secret,
                         std::string_view unserved_reason);
// A delivery of a webhook that is `served` or not: nothing is attempted of one that isn't.
std::string delivery_json(const infra::WebhookDelivery& delivery, bool served);

}  // namespace contactd::api
