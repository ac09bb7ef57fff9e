#include "infra/log_audit.hpp"

#include <algorithm>
#include <charconv>
#include <future>
#include <iterator>
#include <span>

#include "infra/errors.hpp"
#include "infra/log_patience.hpp"
#include "projections/fold.hpp"

namespace contactd::infra {
namespace {

using projections::BrokenLog;

constexpr std::size_t audit_slice_records_max = 4096;

std::string at_offset(std::uint64_t offset) { return "at offset " + std::to_string(offset); }

// Empty at the end of the partition.
LogSlice read_on(LogReader& log, std::uint32_t partition, std::uint64_t from) {
  for (LogPatience patience;;) {
    LogSlice slice = log.read(partition, from, audit_slice_records_max);
    // What follows the last record may be Kafka's own.
    if (slice.next_offset > from || from >= log.end_offset(partition)) return slice;
    patience.wait(log, partition, from);
  }
}

// The records from `from` up to, without, `end`, put before those of `entries`.
void prepend(std::vector<LogEntry>& entries, LogReader& log, std::uint32_t partition,
             std::uint64_t from, std::uint64_t end) {
  std::vector<LogEntry> read;
  while (from < end) {
    LogSlice slice = read_on(log, partition, from);
    if (slice.entries.empty()) break;
    from = slice.next_offset;
    std::move(slice.entries.begin(), slice.entries.end(), std::back_inserter(read));
  }
  while (!read.empty() && read.back().offset >= end) read.pop_back();
  std::move(entries.begin(), entries.end(), std::back_inserter(read));
  entries = std::move(read);
}

// Whether `at`, with the entries that follow, comes to the checkpoint.
bool comes_to(projections::Checkpoint at, std::span<const LogEntry> entries,
              const projections::Checkpoint& checkpoint) {
  for (const LogEntry& entry : entries) {
    const auto* event = std::get_if<domain::RecordedEvent>(&entry.record);
    if (event == nullptr) continue;
    if (admit(at, entry.offset, *event) != projections::Admission::current) continue;
    if (extend(at.chain, *event, entry.canonical)) return false;
  }
  return at.claim == checkpoint.claim && at.next_sequence == checkpoint.next_sequence &&
         at.chain.hash == checkpoint.chain.hash;
}

// As it is after an event that is in the chain.
projections::Checkpoint checkpoint_after(const LogEntry& entry,
                                         const domain::RecordedEvent& event) {
  projections::Checkpoint at;
  at.next_offset = entry.offset + 1;
  at.claim = event.stamp.claim;
  at.next_sequence = event.stamp.sequence + 1;
  at.chain.hash = *event.chain_hash;
  return at;
}

class Walk {
 public:
  Walk(std::uint32_t partition, const std::vector<KeptHead>& kept, bool one_writer)
      : kept_(kept), one_writer_(one_writer) {
    found_.partition = partition;
  }

  void take(const LogEntry& entry) {
    ++found_.records;
    if (const auto* unreadable = std::get_if<UnreadableRecord>(&entry.record)) {
      throw projections::unreadable_record(entry.offset, unreadable->reason);
    }
    const auto* event = std::get_if<domain::RecordedEvent>(&entry.record);
    if (event == nullptr) {
      ++found_.foreign;
      found_.at.next_offset = entry.offset + 1;
    } else if (admit_in_chain(found_.at, entry.offset, *event, entry.canonical) !=
               projections::Admission::current) {
      if (one_writer_) throw projections::misplaced_event(entry.offset);
      ++found_.not_applied;
    } else {
      compare_with_kept(entry.offset);
    }
  }
  // To be called at the end of the partition.
  AuditedPartition finish() {
    for (const KeptHead& one : kept_) {
      if (one.partition != found_.partition) continue;
      if (one.offset >= found_.at.next_offset) {
        throw BrokenLog("the log ends before " + to_string(one) + ": it has lost records");
      }
      if (!seen(one)) throw BrokenLog("no event " + at_offset(one.offset) + " is in the chain now");
    }
    return found_;
  }

 private:
  // The event there was chained.
  void compare_with_kept(std::uint64_t offset) {
    found_.head = KeptHead{found_.partition, offset, found_.at.chain.hash};
    for (const KeptHead& one : kept_) {
      if (one.partition != found_.partition || one.offset != offset) continue;
      seen_.push_back(one);
      if (one.hash == found_.head->hash) continue;
      throw BrokenLog("up to " + at_offset(one.offset).substr(3) + " the log isn't the one of " +
                      to_string(one) + ": its head there is " + to_string(*found_.head));
    }
  }
  bool seen(const KeptHead& head) const {
    return std::find(seen_.begin(), seen_.end(), head) != seen_.end();
  }

  const std::vector<KeptHead>& kept_;
  const bool one_writer_;
  std::vector<KeptHead> seen_;
  AuditedPartition found_;
};

}  // namespace

std::string to_string(const KeptHead& head) {
  return std::to_string(head.partition) + ':' + std::to_string(head.offset) + ':' +
         domain::to_hex(head.hash);
}

std::optional<KeptHead> parse_kept_head(const std::string& text) {
  KeptHead head;
  const char* const end = text.data() + text.size();
  const auto [first, bad_partition] = std::from_chars(text.data(), end, head.partition);
  if (bad_partition != std::errc{} || first == end || *first != ':') return std::nullopt;
  const auto [second, bad_offset] = std::from_chars(first + 1, end, head.offset);
  if (bad_offset != std::errc{} || second == end || *second != ':') return std::nullopt;
  const auto hash = domain::digest_from_hex({second + 1, end});
  if (!hash) return std::nullopt;
  head.hash = *hash;
  return head;
}

bool leads_to(LogReader& log, std::uint32_t partition, const projections::Checkpoint& checkpoint) {
  constexpr std::uint64_t records_back = 64;
  if (log.end_offset(partition) < checkpoint.next_offset) return true;
  std::vector<LogEntry> entries;
  for (std::uint64_t begin = checkpoint.next_offset; begin > 0;) {
    const std::uint64_t end = begin;
    begin -= std::min(begin, std::max<std::uint64_t>(records_back, entries.size()));
    prepend(entries, log, partition, begin, end);
    bool any = false;
    for (std::size_t i = entries.size(); i-- > 0;) {
      const auto* event = std::get_if<domain::RecordedEvent>(&entries[i].record);
      if (event == nullptr || !event->chain_hash) continue;
      any = true;
      // One that wasn't applied leads nowhere: an earlier one then may.
      if (comes_to(checkpoint_after(entries[i], *event), std::span{entries}.subspan(i + 1),
                   checkpoint)) {
        return true;
      }
    }
    if (any) return false;
  }
  return comes_to({}, entries, checkpoint);
}

AuditedPartition audit_chain(LogReader& log, std::uint32_t partition,
                             const std::vector<KeptHead>& kept, const OnAudited& on_progress) {
  Walk walk{partition, kept, log.has_one_writer()};
  std::uint64_t records = 0;
  // As of now: one that goes on growing has no end.
  const std::uint64_t end = log.end_offset(partition);
  const auto read = [&](std::uint64_t from) {
    return from < end ? read_on(log, partition, from) : LogSlice{};
  };
  LogSlice slice = read(0);
  while (!slice.entries.empty()) {
    auto next = std::async(std::launch::async, read, slice.next_offset);
    for (const LogEntry& entry : slice.entries) walk.take(entry);
    records += slice.entries.size();
    on_progress(records);
    slice = next.get();
  }
  return walk.finish();
}

}  // namespace contactd::infra
