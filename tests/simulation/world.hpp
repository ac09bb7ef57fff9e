#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "infra/event_log.hpp"
#include "infra/read_store.hpp"
#include "tests/simulation/faults.hpp"
#include "tests/simulation/scheduler.hpp"

namespace contactd::test {

// What outlives a crash: the log, what of the projections was flushed, and the time of day; and all
// that goes wrong with them.
struct World {
  using Tables = std::map<projections::Table, std::map<std::string, std::string, std::less<>>>;
  using Batch = std::vector<domain::RecordedEvent>;

  World(Scheduler& of, Random& seeded) : scheduler(of), random(seeded) {}

  // Whether a fault is due. None is, once the world is healed.
  bool strikes(Fault fault, std::size_t once_in);
  void append(const Batch& batch);
  // A rival, whose claim is now the current one, and who changes a few contacts.
  void claim_as_rival();
  // A row was read, and it takes a while until its reader has it: it may be an old one by then.
  void delay_look_up();
  // A batch of unknown fate arrives.
  void deliver_late();
  // No more faults; what is late arrives or is lost.
  void heal();

  Scheduler& scheduler;
  Random& random;
  FaultCounts faults;
  bool healed = false;
  std::vector<infra::LogEntry> records;  // the log; its offsets are the indexes
  std::uint64_t visible = 0;             // so many of them are shown to readers
  std::int64_t visible_at_ns = 0;        // when all of them are
  std::vector<Batch> late;               // may come yet
  Batch last_appended;
  std::uint64_t claim = 0;
  int full_for = 0;  // attempts to write, until there is room
  Tables flushed;
  std::int64_t clock_offset_ms = 0;

 private:
  void change_contacts_as_rival();

  std::uint64_t rival_changes_ = 0;
};

// The log as one process sees it. After its crash nothing that it calls has an effect.
class SimulatedLog final : public infra::EventLog {
 public:
  explicit SimulatedLog(World& world) : world_(world) {}

  void crash() { alive_ = false; }
  bool alive() const { return alive_; }

  std::uint32_t partition_count() const override { return 1; }
  bool has_one_writer() const override { return false; }
  infra::Claim claim(std::uint32_t partition, const domain::RecordedEvent& proposal) override;
  infra::AppendResult append(const infra::Claim& claim,
                             std::span<const domain::RecordedEvent> batch,
                             std::span<const std::string> canonical) override;
  void release(std::uint32_t) override { claimed_ = false; }
  infra::LogSlice read(std::uint32_t partition, std::uint64_t from, std::size_t count_max) override;
  bool wait(std::uint32_t partition, std::uint64_t from,
            std::chrono::milliseconds patience) override;
  std::uint64_t end_offset(std::uint32_t) override;

 private:
  infra::AppendResult go_wrong(const World::Batch& batch);
  void require_alive() const;
  void maybe_full();
  std::uint64_t visible();

  World& world_;
  bool alive_ = true;
  bool claimed_ = false;
};

// The projections in memory; a crash takes what wasn't flushed.
class SimulatedStore final : public infra::ReadStore {
 public:
  // No world: a store of its own, in which nothing goes wrong.
  explicit SimulatedStore(World* world) : world_(world) {
    if (world != nullptr) tables_ = world->flushed;
  }

  void crash();
  void flush_to_world();
  bool is_flushed() const { return world_->flushed == tables_; }
  // Whether it has the record of the request with that key, of whatever time.
  bool knows(const domain::Digest& key) const;

  std::unique_ptr<Batch> begin() override;
  projections::Checkpoint checkpoint(std::uint32_t partition) const override;
  std::shared_ptr<const projections::ContactView> contact(
      const domain::OrganizationId& organization, const domain::ContactId& contact) const override;
  std::optional<std::string> get(projections::Table table, std::string_view key) const override;
  std::optional<std::string> contact_row(const domain::OrganizationId& organization,
                                         const domain::ContactId& contact) const override;
  std::optional<domain::ContactId> email_holder(const domain::OrganizationId& organization,
                                                std::string_view email) const override;
  std::optional<projections::IdempotencyRecord> idempotency(std::uint32_t partition,
                                                            const domain::Digest& key,
                                                            domain::Instant now) const override;
  std::optional<domain::ApiKey> api_key(const domain::KeyId& id) const override;
  std::vector<domain::ApiKey> api_keys(const std::optional<domain::OrganizationId>& organization,
                                       const domain::KeyId& after,
                                       std::size_t count_max) const override;
  infra::ListPage list(const domain::OrganizationId& organization,
                       const infra::ListQuery& query) const override;
  std::optional<domain::Webhook> webhook(const domain::OrganizationId& organization,
                                         const domain::WebhookId& id) const override;
  std::vector<domain::Webhook> webhooks(
      const std::optional<domain::OrganizationId>& organization) const override;
  std::vector<projections::FeedEntry> feed(const domain::OrganizationId& organization,
                                           std::uint64_t after,
                                           std::size_t count_max) const override;
  std::optional<projections::FeedEntry> feed_end(
      const domain::OrganizationId& organization) const override;
  void visit_range(projections::Table table, const std::string& begin, const std::string& end,
                   const RowVisitor& visit) const override;
  void visit_all(const Visitor& visit) const override;
  void flush() override {}
  void copy_to(const std::filesystem::path& directory) override;

 private:
  class Changes;

  World* const world_;
  bool alive_ = true;
  World::Tables tables_;
};

}  // namespace contactd::test
