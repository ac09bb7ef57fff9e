#include "infra/webhook_obstacle.hpp"

#include <cstdlib>
#include <string>
#include <variant>

namespace contactd::infra {

std::optional<WebhookObstacle> obstacle_to(const domain::Webhook& webhook,
                                           const WebhookUrlRules& rules,
                                           const WebhookSecrets& secrets) {
  if (webhook.master != secrets.mark()) return WebhookObstacle::other_master_secret;
  if (std::holds_alternative<std::string>(read_webhook_url(webhook.settings.url, rules))) {
    return WebhookObstacle::url_not_allowed;
  }
  return std::nullopt;
}

std::string_view name_of(WebhookObstacle obstacle) {
  switch (obstacle) {
    case WebhookObstacle::url_not_allowed:
      return "url_not_allowed";
    case WebhookObstacle::other_master_secret:
      return "other_master_secret";
  }
  std::abort();
}

std::string_view words_of(WebhookObstacle obstacle) {
  switch (obstacle) {
    case WebhookObstacle::url_not_allowed:
      return "this server's flags don't allow its URL; give it another URL, or start all instances "
             "with flags that allow this one";
    case WebhookObstacle::other_master_secret:
      return "its secret is of another master secret than the one given; give that one to all "
             "instances, or rotate the webhook's secret";
  }
  std::abort();
}

}  // namespace contactd::infra
