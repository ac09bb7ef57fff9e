#include "projections/api_key_record.hpp"

#include <algorithm>

#include "projections/binary.hpp"

namespace contactd::projections {
namespace {

constexpr std::uint8_t key_row_format = 2;

domain::Scope take_scope(BinaryReader& reader) {
  const auto scope = static_cast<domain::Scope>(reader.number<std::uint8_t>());
  if (scope > domain::Scope::write) throw CorruptRecord("a key row of no scope");
  return scope;
}

// Whether there is one, then the time.
void append_time(std::string& row, const std::optional<domain::Instant>& time) {
  append_number(row, static_cast<std::uint8_t>(time.has_value()));
  if (time) append_number(row, time->unix_ms);
}

std::optional<domain::Instant> read_time(BinaryReader& reader) {
  if (reader.number<std::uint8_t>() == 0) return std::nullopt;
  return domain::Instant{reader.number<std::int64_t>()};
}

}  // namespace

std::string encode(const domain::ApiKey& key) {
  std::string row;
  append_number(row, key_row_format);
  append_bytes(row, key.organization.str());
  append_bytes(row, key.name);
  append_number(row, static_cast<std::uint8_t>(key.scopes.contacts));
  append_number(row, static_cast<std::uint8_t>(key.scopes.webhooks));
  row.append(key.secret_hash.begin(), key.secret_hash.end());
  append_number(row, key.created_at.unix_ms);
  append_time(row, key.revoked_at);
  append_time(row, key.expires_at);
  append_bytes(row, key.replaces.value_or(std::string{}));
  return row;
}

domain::ApiKey read_api_key(std::string_view id, std::string_view row) {
  BinaryReader reader{row};
  if (reader.number<std::uint8_t>() != key_row_format) throw CorruptRecord("an unknown key row");
  domain::ApiKey key;
  key.id = id;
  const auto organization = domain::OrganizationId::parse(reader.bytes());
  if (!organization) throw CorruptRecord("a key row names no organization");
  key.organization = *organization;
  key.name = reader.bytes();
  key.scopes.contacts = take_scope(reader);
  key.scopes.webhooks = take_scope(reader);
  const std::string_view hash = reader.take(key.secret_hash.size());
  std::copy(hash.begin(), hash.end(), key.secret_hash.begin());
  key.created_at.unix_ms = reader.number<std::int64_t>();
  key.revoked_at = read_time(reader);
  key.expires_at = read_time(reader);
  if (const auto replaces = reader.bytes(); !replaces.empty()) key.replaces = replaces;
  return key;
}

}  // namespace contactd::projections
