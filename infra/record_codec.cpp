#include "infra/record_codec.hpp"

#include <algorithm>

#include "domain/event_codec.hpp"
#include "projections/binary.hpp"

namespace contactd::infra {
namespace {

using projections::append_bytes;
using projections::append_number;
using projections::BinaryReader;
using projections::CorruptRecord;

constexpr std::uint8_t record_format = 1;

template <std::size_t n>
void append_array(std::string& out, const std::array<std::uint8_t, n>& bytes) {
  out.append(bytes.begin(), bytes.end());
}

template <std::size_t n>
void take_array(BinaryReader& reader, std::array<std::uint8_t, n>& bytes) {
  const std::string_view taken = reader.take(n);
  std::copy(taken.begin(), taken.end(), bytes.begin());
}

domain::RecordedEvent decode(std::string_view bytes) {
  BinaryReader reader{bytes};
  if (reader.number<std::uint8_t>() != record_format) {
    throw CorruptRecord("it has a format number that this release doesn't know");
  }
  domain::RecordedEvent event;
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

std::string encode_record(const domain::RecordedEvent& event) {
  std::string out;
  out.reserve(768);
  append_number(out, record_format);
  append_array(out, event.id.bytes);
  append_number(out, event.time.unix_ms);
  append_number(out, event.stamp.claim);
  append_number(out, event.stamp.sequence);
  append_bytes(out, domain::type_of(event.event));
  append_bytes(out, event.organization.str());
  append_bytes(out, event.actor);
  append_bytes(out, event.request_id);
  append_number(out, static_cast<std::uint8_t>(event.idempotency ? 1 : 0));
  if (event.idempotency) {
    append_array(out, event.idempotency->key);
    append_array(out, event.idempotency->request);
  }
  append_bytes(out, domain::encode_data(event.event));
  return out;
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
