#include "api/webhooks.hpp"

#include "api/key_file.hpp"
#include "infra/errors.hpp"
#include "infra/log.hpp"

namespace contactd::api {
namespace {

constexpr std::size_t made_secret_length = 43;  // 258 random bits
constexpr std::string_view secret_name = "the webhooks' master secret";

std::string master_secret(const ServeConfig& config) {
  std::string secret = config.webhooks.secret;
  if (secret.empty() && !config.webhooks.secret_file.empty()) {
    secret = read_key(config.webhooks.secret_file, secret_name);
  }
  if (secret.empty()) {
    if (config.log == "kafka") {
      spdlog::warn(
          "webhooks are signed with a secret of this data directory's; another instance can't "
          "sign for them: give all the same with --webhook-secret-file");
    }
    secret = read_or_make_key(config.data_dir / "webhook.key", secret_name, made_secret_length);
  }
  if (secret.size() < infra::WebhookSecrets::master_bytes_min) {
    throw infra::Unavailable(std::string{secret_name} + " is too short; give at least " +
                             std::to_string(infra::WebhookSecrets::master_bytes_min) +
                             " characters that nobody can guess");
  }
  return secret;
}

}  // namespace

Webhooks::Webhooks(const ServeConfig& config, const infra::ReadStore& store, infra::FeedHub& hub,
                   infra::Metrics& metrics)
    : config_(config.webhooks),
      secrets_(master_secret(config)),
      journal_(infra::open_webhook_journal(config.data_dir / "webhooks")),
      client_({config_.rules.allow_private, config_.timeout}),
      dispatcher_({config_.rules, config_.retry_scale},
                  {store, hub, *journal_, secrets_, client_, metrics, infra::system_time}) {}

}  // namespace contactd::api
