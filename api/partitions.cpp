#include "api/partitions.hpp"

#include <chrono>

#include "infra/stoppable_wait.hpp"

namespace contactd::api {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds look_interval{20};
constexpr milliseconds stands_still_max{500};
// What is folded while the group makes room: some tenths of a second.
constexpr std::uint64_t left_max = 65'536;

}  // namespace

bool Partitions::wait_until_nearly_folded(const std::stop_token& stop) const {
  struct Seen {
    std::uint64_t position = 0;
    milliseconds still{};
  };
  std::vector<Seen> seen(all().size());
  for (;;) {
    // Each by itself: what one waits for may end only once this instance is in the group, and
    // others may never stand still.
    bool done = true;
    for (std::size_t id = 0; id < seen.size(); ++id) {
      const infra::Writer& writer = *all()[id];
      const std::uint64_t position = writer.position();
      auto& [before, still] = seen[id];
      still = position == before ? still + look_interval : milliseconds{};
      before = position;
      done = done && (writer.records_left() <= left_max || still >= stands_still_max ||
                      writer.status().state == infra::Writer::Status::State::stopped);
    }
    if (done) return true;
    if (!infra::wait_for(stop, look_interval)) return false;
  }
}

}  // namespace contactd::api
