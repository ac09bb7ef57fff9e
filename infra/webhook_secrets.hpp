#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "domain/instant.hpp"
#include "domain/organization/webhook.hpp"

namespace contactd::infra {

// How long the secret before the last rotation signs beside the new one.
inline constexpr std::int64_t rotated_secret_kept_ms = 24LL * 60 * 60 * 1000;

// The signing secrets of all webhooks, none of which is stored: each is derived (HKDF-SHA256,
// RFC 5869) from one master secret, the webhook's id and the number of its generation.
// Threads: any.
class WebhookSecrets {
 public:
  // What a master secret must have at least.
  static constexpr std::size_t master_bytes_min = 32;

  // REQUIRES: `master` has master_bytes_min bytes.
  explicit WebhookSecrets(std::string master);

  // Which master secret this is. What was derived from another one can't be derived here.
  domain::MasterMark mark() const { return mark_; }

  // `whsec_` and base64 of 32 bytes, as Standard Webhooks has it.
  std::string secret(const domain::WebhookId& webhook, std::uint32_t generation) const;

  // The value of `webhook-signature` for a message: a signature, or two within the day after a
  // rotation; nothing if the master secret is another one.
  std::string signatures(const domain::Webhook& webhook, std::string_view message_id,
                         std::int64_t timestamp, std::string_view body, domain::Instant now) const;

 private:
  std::string derive(std::string_view info) const;
  std::string key(const domain::WebhookId& webhook, std::uint32_t generation) const;

  const std::string master_;
  const domain::MasterMark mark_;
};

std::string base64(std::string_view bytes);
std::string hmac_sha256(std::string_view key, std::string_view message);

}  // namespace contactd::infra
