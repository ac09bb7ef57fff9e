#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "domain/events.hpp"
#include "infra/event_log.hpp"

namespace contactd::infra {

// An event as a Kafka record: CloudEvents 1.0 (Kafka protocol binding, binary mode).
//
//   key                    the organization's id; none (empty) for WriterClaimed
//   content-type           application/json
//   ce_specversion         1.0
//   ce_id                  the event's id, a UUID
//   ce_source              /contactd
//   ce_type                the event's type, as event_codec.hpp has it
//   ce_time                RFC 3339, UTC, milliseconds
//   ce_dataschema          urn:contactd:schemas:<type>, the $id of the schema at /schemas/<type>
//   ce_subject             the contact's id, where there is one
//   ce_contactversion      the contact's version after the event, where there is one
//   ce_organization        as the key
//   ce_actor               the API key's id, "admin" or "contactd"
//   ce_requestid           the request's id
//   ce_claim               the writer's claim and the event's number under it (domain::Stamp)
//   ce_claimsequence
//   ce_idempotencykey      the digests of domain::IdempotencyStamp in hexadecimal, where the
//   ce_idempotencyrequest  request had an Idempotency-Key
//   ce_chainhash           the event's chain hash (projections/event_chain.hpp) in hexadecimal;
//                          none on WriterClaimed
//   value                  the event's data, JSON
//
// Organization, actor and request id have no header where they are empty. Stored for ever: frozen
// by tests/golden/kafka. A header may be added, none renamed or given another meaning.
struct KafkaRecord {
  std::string key;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string value;
};

// The source of every event, and what stands before its type in `dataschema`.
inline constexpr std::string_view cloud_event_source = "/contactd";
inline constexpr std::string_view cloud_event_schema_prefix = "urn:contactd:schemas:";

// A record as it was read; views of what the reader holds. A null is an empty text.
using KafkaHeaderView = std::pair<std::string_view, std::string_view>;
struct KafkaRecordView {
  std::string_view key;
  std::span<const KafkaHeaderView> headers;
  std::string_view value;
};

// Equal events give equal records.
KafkaRecord encode_cloud_event(const domain::RecordedEvent& event);

// The event that the record is; exactly what encode_cloud_event() was given. Total. Names of
// headers are compared byte by byte, as Kafka does; those not listed above are passed over.
// ForeignRecord: there is no ce_type, or none that starts with `contactd.`. UnreadableRecord: one
// of contactd's that this release can't read, or that contradicts itself.
std::variant<domain::RecordedEvent, UnreadableRecord, ForeignRecord> decode_cloud_event(
    const KafkaRecordView& record);

// The canonical bytes (projections/event_chain.hpp) of an event that was decoded from `record`.
std::string canonical_bytes(const domain::RecordedEvent& event, const KafkaRecordView& record);

}  // namespace contactd::infra
