#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "infra/event_log.hpp"

namespace contactd::test {

// A log that goes wrong when told to. What isn't told goes straight to the real one.
// Threads: as an EventLog; the faults may be set from any thread.
class FaultyLog final : public infra::EventLog {
 public:
  using Batch = std::span<const domain::RecordedEvent>;
  using OnAppend = std::function<infra::AppendResult(infra::EventLog&, const infra::Claim&, Batch)>;
  using OnClaim = std::function<void()>;
  using OnRead = std::function<void(infra::LogSlice&)>;

  explicit FaultyLog(std::unique_ptr<infra::EventLog> real) : real_(std::move(real)) {}

  // Each append uses up one, first in, first out.
  void on_append(OnAppend fault) {
    const std::lock_guard lock{mutex_};
    on_append_.push_back(std::move(fault));
  }
  // Each claim uses up one, before the real claim.
  void on_claim(OnClaim fault) {
    const std::lock_guard lock{mutex_};
    on_claim_.push_back(std::move(fault));
  }
  // Every read passes through it until another, or none, is set.
  void on_read(OnRead fault) {
    const std::lock_guard lock{mutex_};
    on_read_ = std::move(fault);
  }
  // Waits come back at once, having seen nothing, so that a reader's patience ends in no time.
  void be_impatient(bool impatient) { impatient_ = impatient; }

  std::size_t appends() const { return appends_; }
  infra::EventLog& real() { return *real_; }

  std::uint32_t partition_count() const override { return real_->partition_count(); }
  bool has_one_writer() const override { return false; }  // what rivals do is among its faults
  infra::Claim claim(std::uint32_t partition, const domain::RecordedEvent& proposal) override {
    if (const OnClaim fault = take(on_claim_)) fault();
    return real_->claim(partition, proposal);
  }
  infra::AppendResult append(const infra::Claim& claim, Batch batch,
                             std::span<const std::string> canonical) override {
    ++appends_;
    if (const OnAppend fault = take(on_append_)) return fault(*real_, claim, batch);
    return real_->append(claim, batch, canonical);
  }
  void release(std::uint32_t partition) override { real_->release(partition); }
  infra::LogSlice read(std::uint32_t partition, std::uint64_t from,
                       std::size_t count_max) override {
    infra::LogSlice slice = real_->read(partition, from, count_max);
    OnRead fault;
    {
      const std::lock_guard lock{mutex_};
      fault = on_read_;
    }
    if (fault) fault(slice);
    return slice;
  }
  bool wait(std::uint32_t partition, std::uint64_t from,
            std::chrono::milliseconds patience) override {
    return !impatient_ && real_->wait(partition, from, patience);
  }
  std::uint64_t end_offset(std::uint32_t partition) override {
    return real_->end_offset(partition);
  }

 private:
  template <class Fault>
  Fault take(std::deque<Fault>& faults) {
    const std::lock_guard lock{mutex_};
    if (faults.empty()) return {};
    Fault fault = std::move(faults.front());
    faults.pop_front();
    return fault;
  }

  const std::unique_ptr<infra::EventLog> real_;
  std::atomic<bool> impatient_ = false;
  std::atomic<std::size_t> appends_ = 0;
  // Guarded by mutex_.
  std::mutex mutex_;
  std::deque<OnAppend> on_append_;
  std::deque<OnClaim> on_claim_;
  OnRead on_read_;
};

}  // namespace contactd::test
