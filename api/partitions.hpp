#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "infra/kafka_membership.hpp"
#include "infra/writer.hpp"

namespace contactd::api {

// The writers of the partitions, and which organization is whose. There are none before open():
// how many partitions there are, only the log knows, and it may be away at the start.
// Threads: open() from one, once; all else from any.
class Partitions {
 public:
  using Writers = std::vector<std::unique_ptr<infra::Writer>>;

  void open(Writers writers) {
    count_ = static_cast<std::uint32_t>(writers.size());
    writers_ = std::move(writers);
    set_awaited({});
    open_.store(true, std::memory_order_release);
  }
  // Of projections that nobody folds on: `count` partitions without writers.
  void open_for_reading(std::uint32_t count) {
    count_ = count;
    open_.store(true, std::memory_order_release);
  }
  bool is_open() const { return open_.load(std::memory_order_acquire); }
  // What is in the way of serving them, beside what their writers say: a sentence for the operator.
  void set_awaited(std::string awaited) {
    const std::lock_guard lock{mutex_};
    awaited_ = std::move(awaited);
  }
  std::string awaited() const {
    const std::lock_guard lock{mutex_};
    return awaited_;
  }

  // REQUIRES: they are open.
  std::uint32_t partition_of(const domain::OrganizationId& organization) const {
    return domain::partition_of(organization, count_);
  }
  // REQUIRES: also, that they were opened with writers.
  infra::Writer& writer_of(const domain::OrganizationId& organization) const {
    return *writers_[partition_of(organization)];
  }
  // Whether the projections of the organization's partition may be read (Writer::caught_up): what
  // is wrong with another one doesn't matter to it. REQUIRES: they are open.
  bool caught_up(const domain::OrganizationId& organization) const {
    return writers_.empty() || writer_of(organization).caught_up();
  }
  // Whether those of all may be.
  bool caught_up() const {
    return is_open() && std::all_of(writers_.begin(), writers_.end(),
                                    [](const auto& writer) { return writer->caught_up(); });
  }
  const Writers& all() const {
    static const Writers none;
    return is_open() ? writers_ : none;
  }

  // Whether what isn't found here isn't anywhere: each is this instance's, and none may be stale.
  // In this order: a silence that has just ended has left a doubt, and a doubt that is settled an
  // ownership. REQUIRES: they are open.
  bool know_all() const {
    return !silent() && std::all_of(writers_.begin(), writers_.end(), [](const auto& writer) {
      return !writer->may_be_stale() && writer->ownership() == infra::Ownership::ours;
    });
  }

  // Returns once little is left of every partition (Writer::records_left), or it has stopped, or
  // has shown nothing new for a while; false if told to stop.
  bool wait_until_nearly_folded(const std::stop_token& stop) const;

  // Where instances share a log: the place of this one among them. It must outlive all requests.
  void watch(const infra::KafkaMembership& membership) { membership_.store(&membership); }
  // Whether nothing that was heard of the others holds (KafkaMembership::silent).
  bool silent() const {
    const infra::KafkaMembership* const membership = membership_.load();
    return membership != nullptr && membership->silent();
  }

 private:
  // Constant once open_ is true.
  Writers writers_;
  std::uint32_t count_ = 0;
  std::atomic<bool> open_{false};
  std::atomic<const infra::KafkaMembership*> membership_{nullptr};
  // Guarded by mutex_.
  mutable std::mutex mutex_;
  std::string awaited_ = "the log is being opened";
};

}  // namespace contactd::api
