#pragma once

#include <optional>
#include <string>

#include "domain/commands.hpp"
#include "domain/contact/decide.hpp"
#include "domain/events.hpp"
#include "domain/ids.hpp"
#include "domain/instant.hpp"

namespace contactd::domain {

// A key of an organization. It stays listed after it was revoked: history names it.
struct ApiKey {
  KeyId id;
  OrganizationId organization;
  std::string name;
  Scopes scopes;
  Digest secret_hash{};
  Instant created_at;
  std::optional<Instant> revoked_at;

  auto operator<=>(const ApiKey&) const = default;
};

inline Decision decide(const CreateApiKey& command) {
  return Event{ApiKeyCreated{command.key, command.name, command.scopes, command.secret_hash}};
}

// Revoking twice is not an error: it is what was asked for.
inline Decision decide(const RevokeApiKey& command, const std::optional<ApiKey>& key) {
  if (!key) return Rejection{ApiKeyNotFound{}};
  if (key->revoked_at) return NothingToDo{};
  return Event{ApiKeyRevoked{command.key}};
}

}  // namespace contactd::domain
