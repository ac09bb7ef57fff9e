#include "projections/checkpoint.hpp"

#include <gtest/gtest.h>

#include "tests/domain/samples.hpp"

namespace contactd::projections {
namespace {

using namespace contactd::test;
using domain::Stamp;

domain::RecordedEvent event_with(Stamp stamp, domain::Instant time = noon) {
  domain::RecordedEvent event;
  event.time = time;
  event.stamp = stamp;
  event.event = domain::ApiKeyRevoked{"k"};
  return event;
}

domain::RecordedEvent claim_at(domain::Instant time) {
  domain::RecordedEvent event;
  event.time = time;
  event.event = domain::WriterClaimed{"w"};
  return event;
}

struct CheckpointRow {
  const char* what;
  Checkpoint before;
  std::uint64_t offset;
  domain::RecordedEvent event;
  Admission admission;
  Checkpoint after;
};

TEST(Admission, AppliesOnlyTheNextEventOfTheCurrentClaim) {
  const Checkpoint none;
  const Checkpoint at{20, 10, 5, noon};
  const auto past = [](std::uint64_t offset) { return Checkpoint{offset + 1, 10, 5, noon}; };
  const std::vector<CheckpointRow> rows = {
      {"before any claim", none, 0, event_with({0, 0}), Admission::stale_claim, {1, 0, 0, {}}},
      {"before any claim, numbered",
       none,
       0,
       event_with({0, 1}),
       Admission::stale_claim,
       {1, 0, 0, {}}},
      {"the first claim", none, 0, claim_at(noon), Admission::current, {1, 0, 1, noon}},
      {"the first event of the claim at 0",
       {1, 0, 1, noon},
       1,
       event_with({0, 1}, after(7)),
       Admission::current,
       {2, 0, 2, after(7)}},
      {"the claim's next event",
       at,
       20,
       event_with({10, 5}, after(1)),
       Admission::current,
       {21, 10, 6, after(1)}},
      {"its clock went back",
       at,
       20,
       event_with({10, 5}, after(-9)),
       Admission::current,
       {21, 10, 6, noon}},
      {"a repeat", at, 20, event_with({10, 4}, after(1)), Admission::out_of_sequence, past(20)},
      {"a gap", at, 20, event_with({10, 6}, after(1)), Admission::out_of_sequence, past(20)},
      {"number 0", at, 20, event_with({10, 0}, after(1)), Admission::out_of_sequence, past(20)},
      {"a fenced writer", at, 20, event_with({9, 5}, after(1)), Admission::stale_claim, past(20)},
      {"a claim that is not folded", at, 20, event_with({11, 5}), Admission::stale_claim, past(20)},
      {"another claim", at, 20, claim_at(after(2)), Admission::current, {21, 20, 1, after(2)}},
      {"another claim, its clock behind",
       at,
       20,
       claim_at(after(-2)),
       Admission::current,
       {21, 20, 1, noon}},
      {"after a gap of offsets",
       at,
       25,
       event_with({10, 5}),
       Admission::current,
       {26, 10, 6, noon}},
  };
  for (const CheckpointRow& row : rows) {
    SCOPED_TRACE(row.what);
    Checkpoint checkpoint = row.before;
    EXPECT_EQ(admit(checkpoint, row.offset, row.event), row.admission);
    EXPECT_TRUE(checkpoint == row.after)
        << checkpoint.next_offset << ' ' << checkpoint.claim << ' ' << checkpoint.next_sequence
        << ' ' << checkpoint.last_time.unix_ms;
  }
}

}  // namespace
}  // namespace contactd::projections
