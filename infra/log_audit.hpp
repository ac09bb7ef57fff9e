#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "infra/event_log.hpp"
#include "projections/checkpoint.hpp"

namespace contactd::infra {

// The chain's head after the event at `offset`, as somebody has kept it.
struct KeptHead {
  std::uint32_t partition = 0;
  std::uint64_t offset = 0;
  domain::Digest hash{};

  bool operator==(const KeptHead&) const = default;
};
std::string to_string(const KeptHead& head);  // PARTITION:OFFSET:HASH
std::optional<KeptHead> parse_kept_head(const std::string& text);

// What a walk over one partition has found.
struct AuditedPartition {
  std::uint32_t partition = 0;
  projections::Checkpoint at;     // after its last record
  std::optional<KeptHead> head;   // none: no event of it holds
  std::uint64_t records = 0;      // all that was read
  std::uint64_t not_applied = 0;  // of a writer that had lost its claim, or out of sequence
  std::uint64_t foreign = 0;      // none of contactd's
};

// Walks over a partition from its beginning to its end, checks the chain, and that each of `kept`
// which is of this partition is on it. Reads ahead on a thread of its own.
// Throws LogUnavailable where the log can't be read, and projections::BrokenLog at the first record
// that isn't what it must be.
using OnAudited = std::function<void(std::uint64_t records)>;
AuditedPartition audit_chain(LogReader& log, std::uint32_t partition,
                             const std::vector<KeptHead>& kept, const OnAudited& on_progress);

// Whether the log, up to the checkpoint, is the one that it was made of: the chain leads to its
// head. Reads back from there to the nearest event that has its hash. A log that ends before is no
// matter of this function's: true.
bool leads_to(LogReader& log, std::uint32_t partition, const projections::Checkpoint& checkpoint);

}  // namespace contactd::infra
