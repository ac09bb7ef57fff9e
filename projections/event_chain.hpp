#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "domain/events.hpp"

// The chain of a partition: every event that is applied carries
//
//   hash(event) = SHA-256(hash of the event applied before it, its own canonical bytes)
//
// so that none can be changed, left out, put in or moved without every later hash being another.
// The hash before the first event is 32 zero bytes. What the fold passes over isn't in the chain.
//
// A WriterClaimed is written without knowing what precedes it: it carries no hash, but is chained
// like any other, which the hash of the next event proves. So are the events of a release that
// wrote none; but once a partition has an event with a hash, every later one must have one.
namespace contactd::projections {

// The bytes that are hashed, the same whichever log the event is in:
//
//   1:1  event-id:16  time_ms:8  claim:8  sequence:8
//   type  organization  actor  request-id          each a length of 32 bits and the bytes
//   idempotency:1 (0 or 1)  [key-digest:32  request-digest:32]
//   data                                           a length of 32 bits and the JSON
//
// Numbers are big-endian. Frozen: it is also how the embedded log stores an event.
inline constexpr std::uint8_t canonical_form = 1;
std::string canonical_bytes(const domain::RecordedEvent& event);
// The same of an event that is stored with this type and data, which may be of an older version.
std::string canonical_bytes(const domain::RecordedEvent& event, std::string_view type,
                            std::string_view data);

domain::Digest chain_hash(const domain::Digest& before, std::string_view canonical);

// The chain up to some event.
struct ChainHead {
  domain::Digest hash{};
  std::uint64_t events = 0;  // how many are chained
  std::uint64_t proven = 0;  // how many of them carried their hash

  auto operator<=>(const ChainHead&) const = default;
};

enum class ChainBreak {
  another_hash,  // the event isn't what it was, or isn't where it was
  no_hash,       // it has none, though earlier ones have
};

// Chains the next event that is applied, whose canonical bytes are given. If it breaks the chain,
// says how, and leaves `head` as it was.
std::optional<ChainBreak> extend(ChainHead& head, const domain::RecordedEvent& event,
                                 std::string_view canonical);

// The end of a sentence that begins with "the event at offset 7".
std::string_view sentence_of(ChainBreak broken);

}  // namespace contactd::projections
