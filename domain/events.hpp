#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "domain/contact/contact.hpp"
#include "domain/ids.hpp"
#include "domain/organization/webhook_events.hpp"
#include "domain/rejection.hpp"

// The facts. Their stored names and forms are in event_codec.hpp; both are frozen.
namespace contactd::domain {

struct ContactCreated {
  ContactId contact;
  std::vector<FieldChange> changes;  // from the unset value of each field that was given

  auto operator<=>(const ContactCreated&) const = default;
};

struct ContactUpdated {
  ContactId contact;
  Version version = 0;  // the contact's after this event
  std::vector<FieldChange> changes;

  auto operator<=>(const ContactUpdated&) const = default;
};

struct ContactDeleted {
  ContactId contact;
  Version version = 0;

  auto operator<=>(const ContactDeleted&) const = default;
};

enum class Scope : std::uint8_t { none, read, write };  // write implies read

std::string_view name_of(Scope scope);
std::optional<Scope> scope_named(std::string_view name);

struct Scopes {
  Scope contacts = Scope::none;
  Scope webhooks = Scope::none;

  auto operator<=>(const Scopes&) const = default;
};

// The key that a new one takes the place of, and when it ends, if it doesn't end before.
struct ReplacedKey {
  KeyId key;
  Instant ends_at;

  auto operator<=>(const ReplacedKey&) const = default;
};

struct ApiKeyCreated {
  KeyId key;
  std::string name;
  Scopes scopes;
  Digest secret_hash{};  // SHA-256 of the whole key as the client sends it
  // Neither: version 1 of the event.
  std::optional<Instant> expires_at = {};
  std::optional<ReplacedKey> replaces = {};

  auto operator<=>(const ApiKeyCreated&) const = default;
};

struct ApiKeyRevoked {
  KeyId key;

  auto operator<=>(const ApiKeyRevoked&) const = default;
};

// A request with an Idempotency-Key was answered without a change: nothing was to be done to
// `unchanged`, or it was refused. It is a fact that a retry must be told again, so it is in the
// log.
struct RequestAnswered {
  std::variant<ContactId, Rejection> answer;

  auto operator<=>(const RequestAnswered&) const = default;
};

// A writer took the partition. The record's own offset is the writer's epoch.
struct WriterClaimed {
  std::string writer;            // tells apart two processes that claim at once; random
  std::uint32_t partitions = 0;  // how many the log has; 0: not recorded (version 1 of the event)

  auto operator<=>(const WriterClaimed&) const = default;
};

using Event =
    std::variant<ContactCreated, ContactUpdated, ContactDeleted, ApiKeyCreated, ApiKeyRevoked,
                 RequestAnswered, WriterClaimed, WebhookCreated, WebhookUpdated, WebhookDisabled,
                 WebhookSecretRotated, WebhookDeleted, WebhookProgressed>;

// The contact that an event is about, and the contact's version after it.
struct Subject {
  const ContactId* contact = nullptr;  // a part of the event; null: it is about no contact
  Version version = 0;
};
Subject subject_of(const Event& event);

// Ties an event to the request that carried an Idempotency-Key.
struct IdempotencyStamp {
  Digest key{};      // of the API key's id and the Idempotency-Key
  Digest request{};  // of the method, the target and the body

  auto operator<=>(const IdempotencyStamp&) const = default;
};

// The writer's proof: the offset of its claim record, and this event's number under that claim,
// from 1 (the claim record itself is 0 under offset 0, which it can't know yet).
struct Stamp {
  std::uint64_t claim = 0;
  std::uint64_t sequence = 0;

  auto operator<=>(const Stamp&) const = default;
};

struct RecordedEvent {
  EventId id;
  Instant time;
  OrganizationId organization;  // empty for WriterClaimed, which is its partition's
  std::string actor;            // id of the API key, "admin", or "contactd"
  std::string request_id;
  std::optional<IdempotencyStamp> idempotency;
  Stamp stamp;
  Event event;
  // Of the event before it and of this one (projections/event_chain.hpp). None on a WriterClaimed,
  // nor on what an earlier release wrote.
  std::optional<Digest> chain_hash = std::nullopt;

  auto operator<=>(const RecordedEvent&) const = default;
};

}  // namespace contactd::domain
