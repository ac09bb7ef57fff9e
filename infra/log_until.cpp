#include "infra/log_until.hpp"

namespace contactd::infra {

LogSlice LogUntil::read(std::uint32_t partition, std::uint64_t from, std::size_t count_max) {
  if (end_ != not_ended) return {{}, from};
  LogSlice slice = log_.read(partition, from, count_max);
  for (std::size_t i = 0; i < slice.entries.size(); ++i) {
    const LogEntry& entry = slice.entries[i];
    const auto* event = std::get_if<domain::RecordedEvent>(&entry.record);
    if (event == nullptr) continue;
    const auto admission = projections::admit(checkpoint_, entry.offset, *event);
    if (admission != projections::Admission::current || !past_(entry.offset, *event)) continue;
    // Not where the event is: before it there may be records of Kafka's own, which nobody reads.
    slice.next_offset = i == 0 ? from : slice.entries[i - 1].offset + 1;
    slice.entries.resize(i);
    end_ = slice.next_offset;
    break;
  }
  return slice;
}

bool LogUntil::wait(std::uint32_t partition, std::uint64_t from,
                    std::chrono::milliseconds patience) {
  return end_ == not_ended && log_.wait(partition, from, patience);
}

}  // namespace contactd::infra
