#include "api/partitions.hpp"

#include <chrono>

#include "api/stoppable_wait.hpp"

namespace contactd::api {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds look_interval{20};
constexpr milliseconds stands_still_max{500};

}  // namespace

bool Partitions::wait_until_followed_up(const std::stop_token& stop) const {
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
      done = done && (writer.followed_up() || still >= stands_still_max ||
                      writer.status().state == infra::Writer::Status::State::stopped);
    }
    if (done) return true;
    if (!wait_for(stop, look_interval)) return false;
  }
}

}  // namespace contactd::api
