#include "projections/api_key_record.hpp"

#include <algorithm>

#include "projections/binary.hpp"

namespace contactd::projections {
namespace {

constexpr std::uint8_t row_format = 2;

domain::Scope take_scope(BinaryReader& reader) {
  const auto scope = static_cast<domain::Scope>(reader.number<std::uint8_t>());
  if (scope > domain::Scope::write) throw CorruptRecord("a key row of no scope");
  return scope;
}

}  // namespace

std::string encode(const domain::ApiKey& key) {
  std::string row;
  append_number(row, row_format);
  append_bytes(row, key.organization.str());
  append_bytes(row, key.name);
  append_number(row, static_cast<std::uint8_t>(key.scopes.contacts));
  append_number(row, static_cast<std::uint8_t>(key.scopes.webhooks));
  row.append(key.secret_hash.begin(), key.secret_hash.end());
  append_number(row, key.created_at.unix_ms);
  append_number(row, key.revoked_at ? key.revoked_at->unix_ms : std::int64_t{0});
  return row;
}

domain::ApiKey read_api_key(std::string_view id, std::string_view row) {
  BinaryReader reader{row};
  if (reader.number<std::uint8_t>() != row_format) throw CorruptRecord("an unknown key row");
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
  const auto revoked_ms = reader.number<std::int64_t>();
  if (revoked_ms != 0) key.revoked_at = domain::Instant{revoked_ms};
  return key;
}

}  // namespace contactd::projections
