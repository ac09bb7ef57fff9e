#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "domain/ids.hpp"

// The facts about an organization's webhooks: endpoints that contactd sends its events to.
namespace contactd::domain {

// 20 characters of [A-Za-z0-9] where contactd made it.
using WebhookId = std::string;

// Tells apart the master secrets that signing secrets are derived from; gives nothing of them away.
using MasterMark = std::uint64_t;

struct WebhookSettings {
  std::string url;
  std::string description;
  std::vector<std::string> types;  // of the events that are sent; none: all
  bool enabled = true;

  auto operator<=>(const WebhookSettings&) const = default;
};

struct WebhookCreated {
  WebhookId webhook;
  WebhookSettings settings;
  MasterMark master = 0;

  auto operator<=>(const WebhookCreated&) const = default;
};

// All of the settings, as they are after the event.
struct WebhookUpdated {
  WebhookId webhook;
  WebhookSettings settings;

  auto operator<=>(const WebhookUpdated&) const = default;
};

// contactd itself has switched the endpoint off.
struct WebhookDisabled {
  WebhookId webhook;
  std::string reason;

  auto operator<=>(const WebhookDisabled&) const = default;
};

struct WebhookSecretRotated {
  WebhookId webhook;
  std::uint32_t generation = 0;  // of the new secret; the first one was 1
  MasterMark master = 0;

  auto operator<=>(const WebhookSecretRotated&) const = default;
};

struct WebhookDeleted {
  WebhookId webhook;

  auto operator<=>(const WebhookDeleted&) const = default;
};

// How far deliveries have come: of the events before `next_offset` all were delivered, given up or
// not asked for, but for those at `pending` and the later ones of their contacts.
struct WebhookProgressed {
  WebhookId webhook;
  std::uint64_t next_offset = 0;
  std::vector<std::uint64_t> pending;  // ascending

  auto operator<=>(const WebhookProgressed&) const = default;
};

}  // namespace contactd::domain
