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
  std::optional<Instant> expires_at = {};  // from then on it doesn't hold; none: never
  std::optional<KeyId> replaces = {};      // whose successor it is

  bool holds_at(Instant now) const { return !revoked_at && (!expires_at || now < *expires_at); }

  auto operator<=>(const ApiKey&) const = default;
};

// What a created key is, at first.
inline ApiKey key_made_by(const ApiKeyCreated& event, const OrganizationId& organization,
                          Instant time) {
  ApiKey key{event.key,         organization, event.name, event.scopes,
             event.secret_hash, time,         {},         event.expires_at};
  if (event.replaces) key.replaces = event.replaces->key;
  return key;
}

// The key once it was replaced: a rotation shortens its life, never lengthens it.
inline ApiKey evolve(ApiKey key, const ReplacedKey& replaced) {
  if (!key.expires_at || replaced.ends_at < *key.expires_at) key.expires_at = replaced.ends_at;
  return key;
}

// The key once it was revoked; a second time changes nothing.
inline ApiKey evolve(ApiKey key, const ApiKeyRevoked&, Instant time) {
  if (!key.revoked_at) key.revoked_at = time;
  return key;
}

inline Decision decide(const CreateApiKey& command) {
  return Event{ApiKeyCreated{command.key, command.name, command.scopes, command.secret_hash,
                             command.expires_at}};
}

// A key that has ended is as good as unknown: it can't have a successor.
inline Decision decide(const RotateApiKey& command, const std::optional<ApiKey>& key) {
  if (!key || !key->holds_at(command.now)) return Rejection{ApiKeyNotFound{}};
  return Event{ApiKeyCreated{command.key, key->name, key->scopes, command.secret_hash,
                             command.expires_at, ReplacedKey{command.old, command.old_ends_at}}};
}

// Revoking twice is not an error: it is what was asked for.
inline Decision decide(const RevokeApiKey& command, const std::optional<ApiKey>& key) {
  if (!key) return Rejection{ApiKeyNotFound{}};
  if (key->revoked_at) return NothingToDo{};
  return Event{ApiKeyRevoked{command.key}};
}

}  // namespace contactd::domain
