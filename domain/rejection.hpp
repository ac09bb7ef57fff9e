#pragma once

#include <variant>
#include <vector>

#include "domain/contact/fields.hpp"
#include "domain/ids.hpp"

// The closed list of reasons for which the domain refuses a command.
namespace contactd::domain {

// Unknown, deleted, or another organization's: a client can't tell which.
struct ContactNotFound {
  auto operator<=>(const ContactNotFound&) const = default;
};

// Another contact of the organization has the email.
struct EmailTaken {
  ContactId holder;

  auto operator<=>(const EmailTaken&) const = default;
};

// If-Match names no current version.
struct VersionMismatch {
  Version current = 0;
  std::vector<Field> changed;  // since the newest version that the client named

  auto operator<=>(const VersionMismatch&) const = default;
};

// A contact was to be reverted to a version that it didn't have when that was asked.
struct VersionNotFound {
  Version asked = 0;

  auto operator<=>(const VersionNotFound&) const = default;
};

struct ApiKeyNotFound {
  auto operator<=>(const ApiKeyNotFound&) const = default;
};

// Unknown, deleted, or another organization's.
struct WebhookNotFound {
  auto operator<=>(const WebhookNotFound&) const = default;
};

// The organization has as many as it may have.
struct TooManyWebhooks {
  auto operator<=>(const TooManyWebhooks&) const = default;
};

using Rejection = std::variant<ContactNotFound, EmailTaken, VersionMismatch, ApiKeyNotFound,
                               VersionNotFound, WebhookNotFound, TooManyWebhooks>;

}  // namespace contactd::domain
