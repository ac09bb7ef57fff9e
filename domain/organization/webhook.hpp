#pragma once

#include <optional>
#include <string>
#include <vector>

#include "domain/commands.hpp"
#include "domain/contact/decide.hpp"
#include "domain/events.hpp"

namespace contactd::domain {

inline constexpr std::size_t webhooks_max = 20;  // of an organization
// Contacts whose events wait for their delivery to one endpoint, or for the next attempt at it.
inline constexpr std::size_t webhook_pending_max = 256;

inline constexpr std::string_view webhook_gone = "gone";  // WebhookDisabled: it answered 410

// An endpoint of an organization.
struct Webhook {
  WebhookId id;
  OrganizationId organization;
  WebhookSettings settings;
  std::string disabled_reason;  // why contactd has switched it off; empty if it hasn't
  Instant created_at;
  Instant updated_at;  // of the settings

  // Its secrets: the one that holds, and the one before it, if there was one.
  std::uint32_t generation = 1;
  MasterMark master = 0;
  MasterMark master_before = 0;
  std::optional<Instant> rotated_at;

  // As WebhookProgressed has them.
  std::uint64_t next_offset = 0;
  std::vector<std::uint64_t> pending;

  auto operator<=>(const Webhook&) const = default;
};

// The rules. `webhook` is what the command names, where the organization has it; `count` how many
// it has.
Decision decide(const CreateWebhook& command, std::size_t count);
Decision decide(const UpdateWebhook& command, const std::optional<Webhook>& webhook);
Decision decide(const DisableWebhook& command, const std::optional<Webhook>& webhook);
Decision decide(const RotateWebhookSecret& command, const std::optional<Webhook>& webhook);
Decision decide(const DeleteWebhook& command, const std::optional<Webhook>& webhook);
// Progress that isn't beyond the known one is nothing to do.
Decision decide(const ProgressWebhook& command, const std::optional<Webhook>& webhook);

// Whether the event is about a webhook, and which.
const WebhookId* webhook_of(const Event& event);

// The endpoint after an event about it, which is at `offset`; nothing if it is no more, or never
// was. Total.
std::optional<Webhook> evolve(std::optional<Webhook> webhook, const RecordedEvent& event,
                              std::uint64_t offset);

}  // namespace contactd::domain
