#pragma once

#include <optional>

#include "api/auth.hpp"
#include "api/feed_followers.hpp"
#include "api/maintenance.hpp"
#include "api/partitions.hpp"
#include "api/rate_limiter.hpp"
#include "infra/clock.hpp"
#include "infra/feed_hub.hpp"
#include "infra/metrics.hpp"
#include "infra/read_store.hpp"
#include "infra/webhook_dispatcher.hpp"

namespace contactd::api {

// What the handlers of webhooks work with.
struct WebhookServices {
  infra::WebhookUrlRules rules;
  const infra::WebhookSecrets& secrets;
  const infra::WebhookJournal& journal;
  infra::WebhookDispatcher& dispatcher;
};

// What the handlers work with; owned by App, which outlives every request.
struct Services {
  infra::ReadStore& store;
  const Partitions& partitions;
  infra::Metrics& metrics;
  Authenticator& authenticator;
  RateLimiter& rate_limiter;
  Operations& operations;
  infra::FeedHub& feed_hub;
  FeedFollowers& feed_followers;
  infra::Clock clock;
  std::optional<WebhookServices> webhooks;  // none if it is read-only: nothing is sent then
  bool read_only = false;  // there are no writers: what changes anything is refused
};

}  // namespace contactd::api
