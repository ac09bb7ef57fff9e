#include "projections/broken_log.hpp"

namespace contactd::projections {

BrokenLog broken_event(std::uint64_t offset, std::string_view what) {
  return BrokenLog("the event at offset " + std::to_string(offset) + " " + std::string{what});
}

BrokenLog unreadable_record(std::uint64_t offset, std::string_view reason) {
  return BrokenLog("the record at offset " + std::to_string(offset) +
                   " can't be read: " + std::string{reason} +
                   ". Don't delete it: start a release that can read it, or restore the log from a "
                   "backup");
}

BrokenLog moved_event(std::uint64_t offset, std::uint64_t claim) {
  return broken_event(offset, "follows from the ones before it, but its claim isn't at offset " +
                                  std::to_string(claim) +
                                  ", as it says: the records were copied to other offsets. Use the "
                                  "topic that they come from, or a copy of its brokers' disks");
}

BrokenLog misplaced_event(std::uint64_t offset) {
  return broken_event(offset,
                      "doesn't follow from the ones before it: the log was changed. Restore it "
                      "from a backup");
}

}  // namespace contactd::projections
