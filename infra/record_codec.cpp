#include "infra/record_codec.hpp"

#include <algorithm>

#include "domain/event_codec.hpp"
#include "domain/sha256.hpp"
#include "projections/binary.hpp"
#include "projections/event_chain.hpp"

namespace contactd::infra {
namespace {

using projections::BinaryReader;
using projections::CorruptRecord;

constexpr std::uint8_t format_unchained = projections::canonical_form;
constexpr std::uint8_t format_chained = 2;
constexpr std::size_t chained_prefix_bytes = 1 + sizeof(domain::Digest);

template <std::size_t n>
void take_array(BinaryReader& reader, std::array<std::uint8_t, n>& bytes) {
  const std::string_view taken = reader.take(n);
  std::copy(taken.begin(), taken.end(), bytes.begin());
}

domain::RecordedEvent decode(std::string_view bytes) {
  BinaryReader reader{bytes};
  domain::RecordedEvent event;
  auto format = reader.number<std::uint8_t>();
  if (format == format_chained) {
    take_array(reader, event.chain_hash.emplace());
    format = reader.number<std::uint8_t>();
  }
  if (format != format_unchained) {
    throw CorruptRecord("it has a format number that this release doesn't know");
  }
  take_array(reader, event.id.bytes);
  event.time.unix_ms = reader.number<std::int64_t>();
  event.stamp.claim = reader.number<std::uint64_t>();
  event.stamp.sequence = reader.number<std::uint64_t>();
  const std::string_view type = reader.bytes();
  if (const std::string_view organization = reader.bytes(); !organization.empty()) {
    const auto id = domain::OrganizationId::parse(organization);
    if (!id) throw CorruptRecord("its organization is no organization id");
    event.organization = *id;
  }
  event.actor = reader.bytes();
  event.request_id = reader.bytes();
  const auto stamped = reader.number<std::uint8_t>();
  if (stamped > 1) throw CorruptRecord("it neither has an idempotency stamp nor lacks one");
  if (stamped == 1) {
    domain::IdempotencyStamp& stamp = event.idempotency.emplace();
    take_array(reader, stamp.key);
    take_array(reader, stamp.request);
  }
  auto decoded = domain::decode_data(type, reader.bytes());
  if (!reader.rest().empty()) throw CorruptRecord("it goes on past its end");
  if (const auto* problem = std::get_if<domain::Undecodable>(&decoded)) {
    throw CorruptRecord("of type " + std::string{type} + ": " + problem->reason);
  }
  event.event = std::get<domain::Event>(std::move(decoded));
  return event;
}

}  // namespace

std::string record_prefix(const domain::RecordedEvent& event) {
  std::string prefix;
  if (!event.chain_hash) return prefix;
  prefix += static_cast<char>(format_chained);
  prefix += domain::bytes_of(*event.chain_hash);
  return prefix;
}

std::string encode_record(const domain::RecordedEvent& event) {
  return record_prefix(event) + projections::canonical_bytes(event);
}

std::string_view canonical_part(std::string_view record) {
  return record.front() == format_chained ? record.substr(chained_prefix_bytes) : record;
}

std::variant<domain::RecordedEvent, UnreadableRecord, ForeignRecord> decode_record(
    std::string_view bytes) {
  try {
    return decode(bytes);
  } catch (const CorruptRecord& problem) {
    return UnreadableRecord{problem.what()};
  }
}

}  // namespace contactd::infra
