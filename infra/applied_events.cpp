#include "infra/applied_events.hpp"

#include <cassert>

namespace contactd::infra {
namespace {

// How long a broker may take to send a record that is there.
constexpr std::chrono::milliseconds first_record_wait_max{2'000};

const domain::RecordedEvent* event_of(const LogEntry& entry) {
  return std::get_if<domain::RecordedEvent>(&entry.record);
}

bool is_claim(const domain::RecordedEvent& event) {
  return std::holds_alternative<domain::WriterClaimed>(event.event);
}

}  // namespace

AppliedEvents::AppliedEvents(LogReader& log, std::uint32_t partition, std::uint64_t from)
    : log_(log), partition_(partition), from_(from) {
  checkpoint_.next_offset = claim_before(from);
  chained_ = checkpoint_.next_offset == 0;
}

// A claim makes all that was before it irrelevant to what holds. An event names one; if that isn't
// the current one there, the current one lies between, and is read.
std::uint64_t AppliedEvents::claim_before(std::uint64_t from) {
  // At the log's end there is none to ask; what is before it may be one record of Kafka's own.
  constexpr std::uint64_t records_back = 2;
  if (from <= records_back) return 0;
  log_.wait(partition_, from - records_back, first_record_wait_max);
  const LogSlice first = log_.read(partition_, from - records_back, 1);
  const auto* event = first.entries.empty() ? nullptr : event_of(first.entries.front());
  if (event == nullptr) return 0;
  const std::uint64_t offset = first.entries.front().offset;
  if (is_claim(*event)) return offset;
  const std::uint64_t claim = event->stamp.claim;
  if (claim >= offset) return 0;
  log_.wait(partition_, claim, first_record_wait_max);
  const LogSlice claimed = log_.read(partition_, claim, 1);
  if (claimed.entries.empty() || claimed.entries.front().offset != claim) return 0;
  const auto* record = event_of(claimed.entries.front());
  return record != nullptr && is_claim(*record) ? claim : 0;
}

const AppliedEvent* AppliedEvents::next() {
  while (read_.empty()) {
    if (broken_) throw projections::BrokenLog(*broken_);
    if (!read_more()) return nullptr;
  }
  return &read_.front();
}

AppliedEvent AppliedEvents::take() {
  assert(!read_.empty());
  AppliedEvent event = std::move(read_.front());
  read_.pop_front();
  return event;
}

std::uint64_t AppliedEvents::next_offset() const {
  return read_.empty() ? checkpoint_.next_offset : read_.front().offset;
}

// False if the log shows nothing new.
bool AppliedEvents::read_more() {
  LogSlice slice = log_.read(partition_, checkpoint_.next_offset, slice_records_max);
  if (slice.next_offset <= checkpoint_.next_offset) return false;
  try {
    for (LogEntry& entry : slice.entries) take_in(entry);
  } catch (const projections::BrokenLog& broken) {
    broken_ = broken;
    return true;
  }
  checkpoint_.next_offset = slice.next_offset;
  return true;
}

void AppliedEvents::take_in(LogEntry& entry) {
  if (const auto* unreadable = std::get_if<UnreadableRecord>(&entry.record)) {
    throw projections::unreadable_record(entry.offset, unreadable->reason);
  }
  auto* event = std::get_if<domain::RecordedEvent>(&entry.record);
  if (event == nullptr) return;
  if (admit(entry, *event) == projections::Admission::current) {
    if (entry.offset >= from_) read_.push_back({partition_, entry.offset, std::move(*event)});
  } else if (log_.has_one_writer()) {
    throw projections::misplaced_event(entry.offset);
  }
}

projections::Admission AppliedEvents::admit(const LogEntry& entry,
                                            const domain::RecordedEvent& event) {
  if (chained_) {
    return projections::admit_in_chain(checkpoint_, entry.offset, event, entry.canonical);
  }
  const auto admission = projections::admit(checkpoint_, entry.offset, event);
  if (admission == projections::Admission::current && event.chain_hash) {
    checkpoint_.chain = {.hash = *event.chain_hash, .events = 1, .proven = 1};
    chained_ = true;
  }
  return admission;
}

}  // namespace contactd::infra
