#include "projections/checkpoint.hpp"

#include <algorithm>

#include "domain/sha256.hpp"
#include "projections/binary.hpp"
#include "projections/broken_log.hpp"

namespace contactd::projections {

std::string encode(const Checkpoint& checkpoint) {
  std::string record;
  append_number(record, checkpoint.next_offset);
  append_number(record, checkpoint.claim);
  append_number(record, checkpoint.next_sequence);
  append_number(record, checkpoint.last_time.unix_ms);
  record += domain::bytes_of(checkpoint.chain.hash);
  append_number(record, checkpoint.chain.events);
  append_number(record, checkpoint.chain.proven);
  return record;
}

Checkpoint read_checkpoint(std::string_view record) {
  BinaryReader reader{record};
  Checkpoint checkpoint;
  checkpoint.next_offset = reader.number<std::uint64_t>();
  checkpoint.claim = reader.number<std::uint64_t>();
  checkpoint.next_sequence = reader.number<std::uint64_t>();
  checkpoint.last_time.unix_ms = reader.number<std::int64_t>();
  const std::string_view hash = reader.take(checkpoint.chain.hash.size());
  std::copy(hash.begin(), hash.end(), checkpoint.chain.hash.begin());
  checkpoint.chain.events = reader.number<std::uint64_t>();
  checkpoint.chain.proven = reader.number<std::uint64_t>();
  return checkpoint;
}

Admission admit(Checkpoint& checkpoint, std::uint64_t offset, const domain::RecordedEvent& event) {
  checkpoint.next_offset = offset + 1;
  if (std::holds_alternative<domain::WriterClaimed>(event.event)) {
    checkpoint.claim = offset;
    checkpoint.next_sequence = 1;
  } else {
    if (checkpoint.next_sequence == 0 || event.stamp.claim != checkpoint.claim) {
      return Admission::stale_claim;
    }
    if (event.stamp.sequence != checkpoint.next_sequence) return Admission::out_of_sequence;
    ++checkpoint.next_sequence;
  }
  checkpoint.last_time = std::max(checkpoint.last_time, event.time);
  return Admission::current;
}

Admission admit_in_chain(Checkpoint& checkpoint, std::uint64_t offset,
                         const domain::RecordedEvent& event, std::string_view canonical) {
  const Admission admission = admit(checkpoint, offset, event);
  if (admission == Admission::current) {
    if (const auto broken = extend(checkpoint.chain, event, canonical)) {
      throw broken_event(offset, sentence_of(*broken));
    }
  } else if (event.stamp.claim > checkpoint.claim && event.chain_hash &&
             *event.chain_hash == chain_hash(checkpoint.chain.hash, canonical)) {
    throw moved_event(offset, event.stamp.claim);
  }
  return admission;
}

}  // namespace contactd::projections
