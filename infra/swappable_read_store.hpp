#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>

#include "infra/read_store.hpp"

namespace contactd::infra {

// A store behind which another one can be put while it is read. A read that has begun ends on the
// store that it began on. What that costs a read: two changes of a count that its thread shares
// with few others.
// Threads: as ReadStore's; swap() and wait_until_left() from one.
class SwappableReadStore final : public ReadStore {
 public:
  explicit SwappableReadStore(std::unique_ptr<ReadStore> store)
      : owned_(std::move(store)), current_(owned_.get()) {}

  // Gives back the one that was there, which reads may still be on.
  // REQUIRES: both say the same, and no Batch lives: nothing is folded meanwhile.
  std::unique_ptr<ReadStore> swap(std::unique_ptr<ReadStore> other) {
    std::swap(owned_, other);
    current_.store(owned_.get());
    epoch_.fetch_add(1);
    return other;
  }
  // Returns once no read is on what the last swap() gave back. To be called before the next.
  void wait_until_left() const {
    const std::size_t before = (epoch_.load() + 1) % 2;
    for (const Count& count : counts_) {
      while (count.reads[before].load() > 0) std::this_thread::sleep_for(look_interval);
    }
  }
  const ReadStore* current() const { return current_.load(); }

  std::shared_ptr<const projections::ContactView> contact(
      const domain::OrganizationId& organization, const domain::ContactId& contact) const override {
    return here()->contact(organization, contact);
  }
  std::optional<std::string> get(projections::Table table, std::string_view key) const override {
    return here()->get(table, key);
  }
  std::unique_ptr<Batch> begin() override { return here()->begin(); }
  std::unique_ptr<Batch> begin_large() override { return here()->begin_large(); }
  projections::Checkpoint checkpoint(std::uint32_t partition) const override {
    return here()->checkpoint(partition);
  }
  std::optional<std::string> contact_row(const domain::OrganizationId& organization,
                                         const domain::ContactId& contact) const override {
    return here()->contact_row(organization, contact);
  }
  std::optional<domain::ContactId> email_holder(const domain::OrganizationId& organization,
                                                std::string_view email) const override {
    return here()->email_holder(organization, email);
  }
  std::optional<projections::IdempotencyRecord> idempotency(std::uint32_t partition,
                                                            const domain::Digest& key,
                                                            domain::Instant now) const override {
    return here()->idempotency(partition, key, now);
  }
  std::optional<domain::ApiKey> api_key(const domain::KeyId& id) const override {
    return here()->api_key(id);
  }
  std::vector<domain::ApiKey> api_keys(const std::optional<domain::OrganizationId>& organization,
                                       const domain::KeyId& after,
                                       std::size_t count_max) const override {
    return here()->api_keys(organization, after, count_max);
  }
  std::optional<domain::Webhook> webhook(const domain::OrganizationId& organization,
                                         const domain::WebhookId& id) const override {
    return here()->webhook(organization, id);
  }
  std::vector<domain::Webhook> webhooks(
      const std::optional<domain::OrganizationId>& organization) const override {
    return here()->webhooks(organization);
  }
  std::vector<projections::FeedEntry> feed(const domain::OrganizationId& organization,
                                           std::uint64_t after,
                                           std::size_t count_max) const override {
    return here()->feed(organization, after, count_max);
  }
  std::optional<projections::FeedEntry> feed_end(
      const domain::OrganizationId& organization) const override {
    return here()->feed_end(organization);
  }
  ListPage list(const domain::OrganizationId& organization, const ListQuery& query) const override {
    return here()->list(organization, query);
  }
  void visit_range(projections::Table table, const std::string& begin, const std::string& end,
                   const RowVisitor& visit) const override {
    here()->visit_range(table, begin, end, visit);
  }
  void visit_all(const Visitor& visit) const override { here()->visit_all(visit); }
  void warm_up() override { here()->warm_up(); }
  void flush() override { here()->flush(); }
  void copy_to(const std::filesystem::path& directory) override { here()->copy_to(directory); }

 private:
  // The reads that began in an even and in an odd epoch.
  struct alignas(64) Count {
    mutable std::array<std::atomic<std::uint32_t>, 2> reads{};
  };
  static constexpr std::size_t count_of_counts = 16;
  static constexpr std::chrono::milliseconds look_interval{20};

  // Keeps the store that it names from being let go.
  class Here {
   public:
    explicit Here(const SwappableReadStore& of) {
      const Count& count = of.counts_[slot()];
      for (;;) {
        const std::uint64_t epoch = of.epoch_.load();
        reads_ = &count.reads[epoch % 2];
        reads_->fetch_add(1);
        // Else swap() may have begun to wait before it could see this read.
        if (of.epoch_.load() == epoch) break;
        reads_->fetch_sub(1);
      }
      store_ = of.current_.load();
    }
    ~Here() { reads_->fetch_sub(1); }
    Here(const Here&) = delete;
    Here& operator=(const Here&) = delete;

    ReadStore* operator->() const { return store_; }

   private:
    // This thread's place among the counts.
    static std::size_t slot() {
      static std::atomic<std::size_t> next{0};
      thread_local const std::size_t own = next.fetch_add(1) % count_of_counts;
      return own;
    }

    std::atomic<std::uint32_t>* reads_ = nullptr;
    ReadStore* store_ = nullptr;
  };
  Here here() const { return Here{*this}; }

  std::unique_ptr<ReadStore> owned_;  // touched by swap() only
  std::atomic<ReadStore*> current_;
  std::atomic<std::uint64_t> epoch_{0};
  std::array<Count, count_of_counts> counts_;
};

}  // namespace contactd::infra
