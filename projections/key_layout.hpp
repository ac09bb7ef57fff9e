#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "domain/ids.hpp"
#include "domain/instant.hpp"

// The bytes of every key of the read models; no other file builds or takes apart a key.
//
// The organization comes first and ends with a NUL, which no part of a key can contain, so that a
// read with an organization's prefix can't reach another tenant. Numbers are big-endian.
//
//   table        key                                          value
//   contacts     org 0 contact-id                             contact_view.hpp
//   emails       org 0 email                                  contact-id
//   history      org 0 contact-id version:8                   history.hpp
//   snapshots    org 0 contact-id version:8                   contact_view.hpp, as in that version
//   by_creation  org 0 created-at-ms:8 offset:8               contact-id; also of deleted ones
//   by_update    org 0 updated-at-ms:8 offset:8               contact-id status:1
//   tags         org 0 tag 0 contact-id                       (nothing)
//   feed         org 0 offset:8                               feed.hpp
//   counts       org 0                                        active:8 inactive:8
//   idempotency  partition:4 day:4 digest:32                  idempotency.hpp
//   api_keys     key-id                                       api_key_record.hpp
//   webhooks     org 0 webhook-id                             webhook_record.hpp
//   meta         "checkpoint" partition:4                     checkpoint.hpp
//   meta         "format"                                     the number of this layout
//
// `offset` is that of the event that last touched the contact. It makes by_update's keys unique,
// and strictly increasing in the order in which changes happened, also within one millisecond.
// `feed` has every event of a contact, under the event's own offset. `snapshots` has every
// snapshot_interval-th version of a contact that isn't its deletion.
// `day` counts the days since 1970 of the event's time; a whole day's records go at once.
namespace contactd::projections {

// Changes with every change of a key or a value; a database with another number is rebuilt.
inline constexpr std::uint32_t format_version = 3;

enum class Table : std::uint8_t {
  meta,
  contacts,
  emails,
  history,
  by_update,
  tags,
  counts,
  idempotency,
  api_keys,
  snapshots,
  by_creation,
  feed,
  webhooks,
};
inline constexpr std::size_t table_count = 13;
std::string_view name_of(Table table);

namespace keys {

using domain::ContactId;
using domain::Instant;
using domain::OrganizationId;

std::string organization(const OrganizationId& organization);  // the prefix of all its keys
std::string contact(const OrganizationId& organization, const ContactId& contact);
std::string email(const OrganizationId& organization, std::string_view email);
std::string history(const OrganizationId& organization, const ContactId& contact,
                    domain::Version version);
std::string snapshot(const OrganizationId& organization, const ContactId& contact,
                     domain::Version version);
std::string by_creation(const OrganizationId& organization, Instant created_at,
                        std::uint64_t offset);
std::string by_update(const OrganizationId& organization, Instant updated_at, std::uint64_t offset);
std::string feed(const OrganizationId& organization, std::uint64_t offset);
std::string tag_prefix(const OrganizationId& organization, std::string_view tag);
std::string tag(const OrganizationId& organization, std::string_view tag, const ContactId& contact);
std::string counts(const OrganizationId& organization);
std::string webhook(const OrganizationId& organization, std::string_view webhook);
std::string idempotency_day(std::uint32_t partition, std::uint32_t day);
std::string idempotency(std::uint32_t partition, std::uint32_t day, const domain::Digest& key);
std::string checkpoint(std::uint32_t partition);
inline constexpr std::string_view format = "format";

// The end of the keys that begin with `prefix`: the first one after them.
// REQUIRES: `prefix` ends with a NUL or another byte below 0xFF.
std::string prefix_end(std::string_view prefix);

std::uint32_t day_of(Instant instant);

// The parts of a by_update or by_creation key after its prefix.
struct UpdatePosition {
  Instant updated_at;
  std::uint64_t offset = 0;

  auto operator<=>(const UpdatePosition&) const = default;
};
struct HistoryPosition {
  ContactId contact;
  domain::Version version = 0;
};
// REQUIRES: a key of history; of by_update or by_creation; of tags; of feed. Throws CorruptRecord
// on one too short.
HistoryPosition history_position(std::string_view history_key);
UpdatePosition update_position(std::string_view by_time_key);
ContactId tagged_contact(std::string_view tag_key);
std::uint64_t feed_offset(std::string_view feed_key);

// How a key begins: one of history with its contact's key, one of by_update (or by_creation) or of
// feed with its organization's prefix. Of one too short, such as the bound of a range: nothing.
std::string_view contact_part(std::string_view history_key);
std::string_view organization_part(std::string_view by_time_key);
std::string_view feed_organization_part(std::string_view feed_key);

}  // namespace keys
}  // namespace contactd::projections
