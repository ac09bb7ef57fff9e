#include "projections/key_layout.hpp"

#include <algorithm>
#include <array>

#include "projections/binary.hpp"

namespace contactd::projections {

std::string_view name_of(Table table) {
  static constexpr std::array<std::string_view, table_count> names = {
      "meta",        "contacts", "emails",    "history",     "by_update", "tags",    "counts",
      "idempotency", "api_keys", "snapshots", "by_creation", "feed",      "webhooks"};
  return names[static_cast<std::size_t>(table)];
}

namespace keys {
namespace {

// The numbers that keys end with.
constexpr std::size_t version_bytes = sizeof(domain::Version);
constexpr std::size_t offset_bytes = sizeof(std::uint64_t);
constexpr std::size_t position_bytes = sizeof(Instant::unix_ms) + offset_bytes;

std::string_view without_last(std::string_view key, std::size_t bytes) {
  return key.substr(0, key.size() - std::min(key.size(), bytes));
}

}  // namespace

std::string organization(const OrganizationId& organization) {
  std::string key;
  key.reserve(organization.str().size() + 32);
  key += organization.str();
  key += '\0';
  return key;
}

std::string contact(const OrganizationId& organization, const ContactId& contact) {
  std::string key = keys::organization(organization);
  key += contact.view();
  return key;
}

std::string email(const OrganizationId& organization, std::string_view email) {
  std::string key = keys::organization(organization);
  key += email;
  return key;
}

std::string history(const OrganizationId& organization, const ContactId& contact,
                    domain::Version version) {
  std::string key = keys::contact(organization, contact);
  append_number(key, version);
  return key;
}

std::string snapshot(const OrganizationId& organization, const ContactId& contact,
                     domain::Version version) {
  return history(organization, contact, version);
}

std::string by_creation(const OrganizationId& organization, Instant created_at,
                        std::uint64_t offset) {
  return by_update(organization, created_at, offset);
}

std::string by_update(const OrganizationId& organization, Instant updated_at,
                      std::uint64_t offset) {
  std::string key = keys::organization(organization);
  append_number(key, updated_at.unix_ms);
  append_number(key, offset);
  return key;
}

std::string feed(const OrganizationId& organization, std::uint64_t offset) {
  std::string key = keys::organization(organization);
  append_number(key, offset);
  return key;
}

std::string tag_prefix(const OrganizationId& organization, std::string_view tag) {
  std::string key = keys::organization(organization);
  key += tag;
  key += '\0';
  return key;
}

std::string tag(const OrganizationId& organization, std::string_view tag,
                const ContactId& contact) {
  std::string key = tag_prefix(organization, tag);
  key += contact.view();
  return key;
}

std::string counts(const OrganizationId& organization) { return keys::organization(organization); }

std::string webhook(const OrganizationId& organization, std::string_view webhook) {
  std::string key = keys::organization(organization);
  key += webhook;
  return key;
}

std::string idempotency_day(std::uint32_t partition, std::uint32_t day) {
  std::string key;
  append_number(key, partition);
  append_number(key, day);
  return key;
}

std::string idempotency(std::uint32_t partition, std::uint32_t day, const domain::Digest& key) {
  std::string bytes = idempotency_day(partition, day);
  for (const std::uint8_t byte : key) bytes += static_cast<char>(byte);
  return bytes;
}

std::string checkpoint(std::uint32_t partition) {
  std::string key = "checkpoint";
  append_number(key, partition);
  return key;
}

std::string prefix_end(std::string_view prefix) {
  std::string end{prefix};
  ++end.back();
  return end;
}

std::uint32_t day_of(Instant instant) {
  constexpr std::int64_t day_ms = 24LL * 60 * 60 * 1000;
  return static_cast<std::uint32_t>(instant.unix_ms / day_ms);
}

HistoryPosition history_position(std::string_view history_key) {
  constexpr std::size_t tail = ContactId::length + version_bytes;
  if (history_key.size() < tail) throw CorruptRecord("a key of history is too short");
  BinaryReader reader{history_key.substr(history_key.size() - tail)};
  const auto contact = ContactId::parse(reader.take(ContactId::length));
  if (!contact) throw CorruptRecord("a key of history names no contact");
  return {*contact, reader.number<domain::Version>()};
}

UpdatePosition update_position(std::string_view by_time_key) {
  if (by_time_key.size() < position_bytes) {
    throw CorruptRecord("a key of by_update or by_creation is too short");
  }
  BinaryReader reader{by_time_key.substr(by_time_key.size() - position_bytes)};
  const Instant updated_at{reader.number<std::int64_t>()};
  return {updated_at, reader.number<std::uint64_t>()};
}

ContactId tagged_contact(std::string_view tag_key) {
  const std::size_t length = ContactId::length;
  const auto id = tag_key.size() < length
                      ? std::nullopt
                      : ContactId::parse(tag_key.substr(tag_key.size() - length));
  if (!id) throw CorruptRecord("a key of tags names no contact");
  return *id;
}

std::uint64_t feed_offset(std::string_view feed_key) {
  if (feed_key.size() < offset_bytes) throw CorruptRecord("a key of feed is too short");
  return BinaryReader{feed_key.substr(feed_key.size() - offset_bytes)}.number<std::uint64_t>();
}

std::string_view contact_part(std::string_view history_key) {
  return without_last(history_key, version_bytes);
}

std::string_view organization_part(std::string_view by_time_key) {
  return without_last(by_time_key, position_bytes);
}

std::string_view feed_organization_part(std::string_view feed_key) {
  return without_last(feed_key, offset_bytes);
}

}  // namespace keys
}  // namespace contactd::projections
