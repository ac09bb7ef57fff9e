#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "domain/organization/webhook.hpp"
#include "infra/webhook_secrets.hpp"
#include "infra/webhook_url.hpp"

namespace contactd::infra {

// What keeps a server from sending to a webhook, for as long as neither changes.
enum class WebhookObstacle : std::uint8_t {
  url_not_allowed,      // by the server's flags, which were others when the webhook was made
  other_master_secret,  // than the server's: it would sign wrongly
};

std::optional<WebhookObstacle> obstacle_to(const domain::Webhook& webhook,
                                           const WebhookUrlRules& rules,
                                           const WebhookSecrets& secrets);

// As the API names it.
std::string_view name_of(WebhookObstacle obstacle);
// What it is and what to do, as the end of a sentence about the webhook.
std::string_view words_of(WebhookObstacle obstacle);

}  // namespace contactd::infra
