#include "domain/organization/webhook.hpp"

namespace contactd::domain {
namespace {

struct Evolve {
  std::optional<Webhook> webhook;
  const RecordedEvent& recorded;
  std::uint64_t offset;

  std::optional<Webhook> operator()(const WebhookCreated& event) {
    Webhook made;
    made.id = event.webhook;
    made.organization = recorded.organization;
    made.settings = event.settings;
    made.created_at = recorded.time;
    made.updated_at = recorded.time;
    made.master = event.master;
    made.next_offset = offset + 1;
    return made;
  }
  std::optional<Webhook> operator()(const WebhookUpdated& event) {
    if (!webhook) return std::nullopt;
    webhook->settings = event.settings;
    webhook->updated_at = recorded.time;
    if (event.settings.enabled) webhook->disabled_reason.clear();
    return std::move(webhook);
  }
  std::optional<Webhook> operator()(const WebhookDisabled& event) {
    if (!webhook) return std::nullopt;
    webhook->settings.enabled = false;
    webhook->disabled_reason = event.reason;
    webhook->updated_at = recorded.time;
    return std::move(webhook);
  }
  std::optional<Webhook> operator()(const WebhookSecretRotated& event) {
    if (!webhook) return std::nullopt;
    webhook->generation = event.generation;
    webhook->master_before = webhook->master;
    webhook->master = event.master;
    webhook->rotated_at = recorded.time;
    return std::move(webhook);
  }
  std::optional<Webhook> operator()(const WebhookDeleted&) { return std::nullopt; }
  std::optional<Webhook> operator()(const WebhookProgressed& event) {
    if (!webhook) return std::nullopt;
    webhook->next_offset = event.next_offset;
    webhook->pending = event.pending;
    return std::move(webhook);
  }
  template <class Other>
  std::optional<Webhook> operator()(const Other&) {
    return std::move(webhook);
  }
};

Rejection not_found() { return WebhookNotFound{}; }

}  // namespace

Decision decide(const CreateWebhook& command, std::size_t count) {
  if (count >= webhooks_max) return Rejection{TooManyWebhooks{}};
  return Event{WebhookCreated{command.webhook, command.settings, command.master}};
}

Decision decide(const UpdateWebhook& command, const std::optional<Webhook>& webhook) {
  if (!webhook) return not_found();
  WebhookSettings after = webhook->settings;
  if (command.url) after.url = *command.url;
  if (command.description) after.description = *command.description;
  if (command.types) after.types = *command.types;
  if (command.enabled) after.enabled = *command.enabled;
  if (after == webhook->settings) return NothingToDo{};
  return Event{WebhookUpdated{command.webhook, std::move(after)}};
}

Decision decide(const DisableWebhook& command, const std::optional<Webhook>& webhook) {
  if (!webhook) return not_found();
  if (!webhook->settings.enabled) return NothingToDo{};
  return Event{WebhookDisabled{command.webhook, command.reason}};
}

Decision decide(const RotateWebhookSecret& command, const std::optional<Webhook>& webhook) {
  if (!webhook) return not_found();
  return Event{WebhookSecretRotated{command.webhook, webhook->generation + 1, command.master}};
}

Decision decide(const DeleteWebhook& command, const std::optional<Webhook>& webhook) {
  if (!webhook) return not_found();
  return Event{WebhookDeleted{command.webhook}};
}

Decision decide(const ProgressWebhook& command, const std::optional<Webhook>& webhook) {
  if (!webhook) return not_found();
  const bool same = command.progress.next_offset == webhook->next_offset &&
                    command.progress.pending == webhook->pending;
  if (same || command.progress.next_offset < webhook->next_offset) return NothingToDo{};
  return Event{command.progress};
}

const WebhookId* webhook_of(const Event& event) {
  return std::visit(
      [](const auto& fact) -> const WebhookId* {
        if constexpr (requires { fact.webhook; }) {
          return &fact.webhook;
        } else {
          return nullptr;
        }
      },
      event);
}

std::optional<Webhook> evolve(std::optional<Webhook> webhook, const RecordedEvent& event,
                              std::uint64_t offset) {
  return std::visit(Evolve{std::move(webhook), event, offset}, event.event);
}

}  // namespace contactd::domain
