#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "domain/contact/contact.hpp"
#include "domain/events.hpp"

// What a client asked for. The shell brings everything that isn't a rule: ids, time, secrets.
namespace contactd::domain {

struct AnyVersion {};  // no If-Match, or `If-Match: *`
struct OneOf {
  std::vector<Version> versions;  // those that contactd could have issued; may be empty
};
using Precondition = std::variant<AnyVersion, OneOf>;

struct CreateContact {
  ContactId id;
  ContactPatch values;
};

struct UpdateContact {
  ContactId id;
  ContactPatch patch;
  Precondition if_match;
};

struct DeleteContact {
  ContactId id;
  Precondition if_match;
};

// Gives a contact the values of one of its earlier versions.
struct RevertContact {
  ContactId id;
  Version version = 0;
  // Every field as it was in that version; none if there was no such version. What is past can't
  // change, so it doesn't matter when the shell looked it up.
  std::optional<ContactPatch> past;
  Precondition if_match;
};

struct CreateApiKey {
  KeyId key;
  std::string name;
  Scopes scopes;
  Digest secret_hash{};
  std::optional<Instant> expires_at = {};
};

// Makes a successor of a key, of the same name and scopes. Both hold until `old_ends_at`.
struct RotateApiKey {
  KeyId old;
  KeyId key;  // the successor's
  Digest secret_hash{};
  std::optional<Instant> expires_at;  // the successor's
  Instant old_ends_at;
  Instant now;
};

struct RevokeApiKey {
  KeyId key;
};

struct CreateWebhook {
  WebhookId webhook;
  WebhookSettings settings;
  MasterMark master = 0;
};

// What isn't given stays.
struct UpdateWebhook {
  WebhookId webhook;
  std::optional<std::string> url;
  std::optional<std::string> description;
  std::optional<std::vector<std::string>> types;
  std::optional<bool> enabled;
};

struct DisableWebhook {
  WebhookId webhook;
  std::string reason;
};

struct RotateWebhookSecret {
  WebhookId webhook;
  MasterMark master = 0;
};

struct DeleteWebhook {
  WebhookId webhook;
};

struct ProgressWebhook {
  WebhookId webhook;
  WebhookProgressed progress;
};

using Command = std::variant<CreateContact, UpdateContact, DeleteContact, RevertContact,
                             CreateApiKey, RotateApiKey, RevokeApiKey, CreateWebhook, UpdateWebhook,
                             DisableWebhook, RotateWebhookSecret, DeleteWebhook, ProgressWebhook>;

}  // namespace contactd::domain
