#include "projections/webhook_record.hpp"

#include "projections/binary.hpp"

namespace contactd::projections {
namespace {

constexpr std::uint8_t row_format = 1;

}  // namespace

std::string encode(const domain::Webhook& webhook) {
  std::string row;
  append_number(row, row_format);
  append_number(row, webhook.created_at.unix_ms);
  append_number(row, webhook.updated_at.unix_ms);
  append_number(row, static_cast<std::uint8_t>(webhook.settings.enabled ? 1 : 0));
  append_number(row, webhook.generation);
  append_number(row, webhook.master);
  append_number(row, webhook.master_before);
  append_number(row, webhook.rotated_at ? webhook.rotated_at->unix_ms : std::int64_t{0});
  append_number(row, webhook.next_offset);
  append_bytes(row, webhook.settings.url);
  append_bytes(row, webhook.settings.description);
  append_bytes(row, webhook.disabled_reason);
  append_number(row, static_cast<std::uint32_t>(webhook.settings.types.size()));
  for (const std::string& type : webhook.settings.types) append_bytes(row, type);
  append_number(row, static_cast<std::uint32_t>(webhook.pending.size()));
  for (const std::uint64_t offset : webhook.pending) append_number(row, offset);
  return row;
}

domain::Webhook read_webhook(std::string_view key, std::string_view row) {
  const std::size_t end_of_organization = key.find('\0');
  const auto organization = domain::OrganizationId::parse(key.substr(0, end_of_organization));
  if (!organization || end_of_organization == std::string_view::npos) {
    throw CorruptRecord("a key of webhooks names no organization");
  }
  BinaryReader reader{row};
  if (reader.number<std::uint8_t>() != row_format) throw CorruptRecord("an unknown webhook row");
  domain::Webhook webhook;
  webhook.id = key.substr(end_of_organization + 1);
  webhook.organization = *organization;
  webhook.created_at.unix_ms = reader.number<std::int64_t>();
  webhook.updated_at.unix_ms = reader.number<std::int64_t>();
  webhook.settings.enabled = reader.number<std::uint8_t>() != 0;
  webhook.generation = reader.number<std::uint32_t>();
  webhook.master = reader.number<domain::MasterMark>();
  webhook.master_before = reader.number<domain::MasterMark>();
  const auto rotated_ms = reader.number<std::int64_t>();
  if (rotated_ms != 0) webhook.rotated_at = domain::Instant{rotated_ms};
  webhook.next_offset = reader.number<std::uint64_t>();
  webhook.settings.url = reader.bytes();
  webhook.settings.description = reader.bytes();
  webhook.disabled_reason = reader.bytes();
  for (auto count = reader.number<std::uint32_t>(); count > 0; --count) {
    webhook.settings.types.emplace_back(reader.bytes());
  }
  for (auto count = reader.number<std::uint32_t>(); count > 0; --count) {
    webhook.pending.push_back(reader.number<std::uint64_t>());
  }
  return webhook;
}

}  // namespace contactd::projections
