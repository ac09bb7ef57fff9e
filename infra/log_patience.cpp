#include "infra/log_patience.hpp"

#include <string>
#include <utility>

#include "infra/errors.hpp"

namespace contactd::infra {

bool LogPatience::wait(LogReader& log, std::uint32_t partition, std::uint64_t from) {
  if (from != std::exchange(from_, from)) waited_ = {};
  if (waited_ >= wait_max) {
    throw LogAway("partition " + std::to_string(partition) + " doesn't show what is at offset " +
                  std::to_string(from) +
                  " or after it, though there is more; check the log's health, and whether a "
                  "transaction of another client was left open");
  }
  if (log.wait(partition, from, look_interval)) return true;
  waited_ += look_interval;
  return false;
}

}  // namespace contactd::infra
