#include "projections/event_chain.hpp"

#include <cstdlib>

#include "domain/event_codec.hpp"
#include "domain/sha256.hpp"
#include "projections/binary.hpp"

namespace contactd::projections {
namespace {

// A usual event's: one allocation.
constexpr std::size_t usual_bytes = 768;

}  // namespace

std::string canonical_bytes(const domain::RecordedEvent& event) {
  return canonical_bytes(event, domain::type_of(event.event), domain::encode_data(event.event));
}

std::string canonical_bytes(const domain::RecordedEvent& event, std::string_view type,
                            std::string_view data) {
  std::string out;
  out.reserve(usual_bytes);
  append_number(out, canonical_form);
  out.append(event.id.bytes.begin(), event.id.bytes.end());
  append_number(out, event.time.unix_ms);
  append_number(out, event.stamp.claim);
  append_number(out, event.stamp.sequence);
  append_bytes(out, type);
  append_bytes(out, event.organization.str());
  append_bytes(out, event.actor);
  append_bytes(out, event.request_id);
  append_number(out, static_cast<std::uint8_t>(event.idempotency ? 1 : 0));
  if (event.idempotency) {
    out += domain::bytes_of(event.idempotency->key);
    out += domain::bytes_of(event.idempotency->request);
  }
  append_bytes(out, data);
  return out;
}

domain::Digest chain_hash(const domain::Digest& before, std::string_view canonical) {
  return domain::sha256(domain::bytes_of(before), canonical);
}

std::optional<ChainBreak> extend(ChainHead& head, const domain::RecordedEvent& event,
                                 std::string_view canonical) {
  const domain::Digest hash = chain_hash(head.hash, canonical);
  if (event.chain_hash) {
    if (*event.chain_hash != hash) return ChainBreak::another_hash;
    ++head.proven;
  } else if (head.proven > 0 && !std::holds_alternative<domain::WriterClaimed>(event.event)) {
    return ChainBreak::no_hash;
  }
  head.hash = hash;
  ++head.events;
  return std::nullopt;
}

std::string_view sentence_of(ChainBreak broken) {
  switch (broken) {
    case ChainBreak::another_hash:
      return "isn't the one that its chain was built with: it, or one before it, was changed, lost "
             "or put in after it was written; `contactd verify` looks at the whole log, and a "
             "backup has what was there";
    case ChainBreak::no_hash:
      return "has no chain hash, though earlier events of its partition have: an earlier release "
             "wrote it, or it was put in; `contactd verify` looks at the whole log, and a backup "
             "has what was there";
  }
  std::abort();
}

}  // namespace contactd::projections
