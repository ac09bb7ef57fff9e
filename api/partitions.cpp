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
  std::uint64_t before = 0;
  for (milliseconds still{}; still < stands_still_max;) {
    std::uint64_t position = 0;
    bool done = true;
    for (const auto& writer : all()) {
      position += writer->position();
      done = done && (writer->followed_up() ||
                      writer->status().state == infra::Writer::Status::State::stopped);
    }
    if (done) return true;
    still = position == before ? still + look_interval : milliseconds{};
    before = position;
    if (!wait_for(stop, look_interval)) return false;
  }
  return true;
}

}  // namespace contactd::api
