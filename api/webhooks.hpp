#pragma once

#include <memory>

#include "api/config.hpp"
#include "api/services.hpp"

namespace contactd::api {

// Everything that delivers to webhooks, put together.
class Webhooks {
 public:
  // Throws infra::Unavailable.
  Webhooks(const ServeConfig& config, const infra::ReadStore& store, infra::FeedHub& hub,
           infra::Metrics& metrics);

  WebhookServices services() { return {config_.rules, secrets_, *journal_, dispatcher_}; }
  // REQUIRES: the partitions are open.
  void start(const Partitions& partitions) { dispatcher_.start(partitions.all()); }
  // Before the writers stop: how far the endpoints have come is theirs to write.
  void stop() { dispatcher_.stop(); }

 private:
  const WebhookConfig config_;
  const infra::WebhookSecrets secrets_;
  const std::unique_ptr<infra::WebhookJournal> journal_;
  infra::WebhookClient client_;
  infra::WebhookDispatcher dispatcher_;
};

}  // namespace contactd::api
