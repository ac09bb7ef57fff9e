#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "infra/event_log.hpp"
#include "infra/kafka_config.hpp"
#include "infra/metrics.hpp"

namespace contactd::infra {

// This process's place in the consumer group that spreads the partitions over the instances. It
// says who should write a partition; that nobody else does is for the claim to prove.
// Threads: one calls; `assigned` and `revoked` come on a thread of its own, one at a time, and
// `out_of_touch` on another, at any time.
class KafkaMembership {
 public:
  struct Callbacks {
    // The group's decision: these partitions are ours, all others are another instance's.
    std::function<void(const std::set<std::uint32_t>&)> assigned;
    // The group decides anew, or has `lost` us, and may have given our partitions to others before
    // this: none is ours, and nobody is known to own any. Partitions must have been given up when
    // it returns.
    std::function<void(bool lost)> revoked;
    // After each assignment, once the group's coordinator says it: whether there is no other
    // member.
    std::function<void(bool alone)> counted;
    // This process stood still, or the group's coordinator didn't answer it, for so long that the
    // group may have given its partitions to others, who may have written them since. It joins
    // anew, and so is told.
    std::function<void()> out_of_touch;
    // Why it has no place in the group yet: a sentence for the operator.
    std::function<void(const std::string& why)> failing;
  };

  virtual ~KafkaMembership() = default;
  // Leaves the group, having called `revoked` if partitions were ours.
  virtual void leave() = 0;
  // Whether nothing of what the group has said holds: the process stands still now, or has only
  // just been woken; or the coordinator, which knows of others, hasn't answered for as long as it
  // waits for a sign of life. Threads: any.
  virtual bool silent() const = 0;
};

// Throws LogUnavailable. `metrics` must outlive it.
std::unique_ptr<KafkaMembership> join_kafka_group(const KafkaConfig& config, Metrics& metrics,
                                                  KafkaMembership::Callbacks callbacks);

}  // namespace contactd::infra
