#include "tests/simulation/world.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "domain/contact/decide.hpp"
#include "infra/errors.hpp"
#include "projections/event_chain.hpp"
#include "tests/domain/samples.hpp"

namespace contactd::test {
namespace {

using infra::AppendResult;
using projections::Table;

constexpr std::size_t slow_ms_max = 14'000;  // more than the writer's patience, at times
constexpr std::size_t quick_us_max = 300;
constexpr std::size_t slow_look_up_ms_max = 500;  // the folding thread looks at the log meanwhile
constexpr int full_attempts_max = 6;

infra::LogEntry entry_of(std::uint64_t offset, const domain::RecordedEvent& event) {
  return {offset, event, projections::canonical_bytes(event)};
}

[[noreturn]] void not_here() { throw std::logic_error("the writer has no use for this"); }

}  // namespace

// ---- the world ----------------------------------------------------------------------------------

bool World::strikes(Fault fault, std::size_t once_in) {
  if (healed || !random.one_in(once_in)) return false;
  faults.count(fault);
  return true;
}

void World::append(const Batch& batch) {
  if (strikes(Fault::foreign_record, 20)) {
    records.push_back({records.size(), infra::ForeignRecord{"somebody else's"}, {}});
  }
  for (const auto& event : batch) records.push_back(entry_of(records.size(), event));
  visible_at_ns = scheduler.now_ns();
  if (strikes(Fault::slow_read_back, 12)) {
    visible_at_ns += static_cast<std::int64_t>(random.below(slow_ms_max)) * ms;
  }
  last_appended = batch;
}

void World::claim_as_rival() {
  claim = records.size();
  domain::RecordedEvent event;
  event.id = domain::EventId::from(noon.unix_ms, {random.bits(), random.bits()});
  event.time = noon;
  event.actor = "contactd";
  event.event = domain::WriterClaimed{"rival"};
  records.push_back(entry_of(claim, event));
  change_contacts_as_rival();
  visible_at_ns = scheduler.now_ns();
}

// As a writer does that has folded all of the log.
void World::change_contacts_as_rival() {
  SimulatedStore store{nullptr};
  const auto batch = store.begin();
  projections::FoldBatch fold{0, {}, store, *batch};
  std::set<std::pair<domain::OrganizationId, domain::ContactId>> contacts;
  for (const infra::LogEntry& entry : records) {
    const auto* event = std::get_if<domain::RecordedEvent>(&entry.record);
    if (event == nullptr) {
      fold.skip(entry.offset);
      continue;
    }
    fold.apply(entry.offset, *event, entry.canonical);
    const auto* created = std::get_if<domain::ContactCreated>(&event->event);
    if (created != nullptr) contacts.emplace(event->organization, created->contact);
  }
  fold.finish();
  batch->commit();
  projections::Checkpoint at = fold.checkpoint();
  for (const auto& [organization, contact] : contacts) {
    const auto known = store.contact(organization, contact);
    if (known == nullptr || random.one_in(4)) continue;
    const std::string name = "rival" + std::to_string(++rival_changes_);
    const domain::UpdateContact command{
        contact, {set(domain::Field::company, name)}, domain::AnyVersion{}};
    const auto decision = domain::decide(command, &known->contact, std::nullopt);
    domain::RecordedEvent event;
    event.id = domain::EventId::from(at.last_time.unix_ms, {random.bits(), random.bits()});
    event.time = at.last_time;
    event.organization = organization;
    event.actor = "rival";
    event.request_id = name;
    event.stamp = {at.claim, at.next_sequence++};
    event.event = std::get<domain::Event>(decision);
    at.chain.hash = projections::chain_hash(at.chain.hash, projections::canonical_bytes(event));
    event.chain_hash = at.chain.hash;
    records.push_back(entry_of(records.size(), event));
  }
}

void World::delay_look_up() {
  if (!strikes(Fault::slow_look_up, 30)) return scheduler.pause();
  if (strikes(Fault::rival_claim, 2)) claim_as_rival();
  scheduler.sleep_ns(static_cast<std::int64_t>(random.below(slow_look_up_ms_max)) * ms);
}

void World::deliver_late() {
  if (late.empty()) return;
  std::size_t which = 0;
  if (late.size() > 1 && strikes(Fault::reordered, 2)) which = late.size() - 1;
  const Batch batch = late[which];
  late.erase(late.begin() + static_cast<std::ptrdiff_t>(which));
  if (batch.front().stamp.claim != claim) faults.count(Fault::stale_writer);
  append(batch);
}

void World::heal() {
  while (!late.empty()) deliver_late();
  healed = true;
  full_for = 0;
  visible_at_ns = 0;
}

// ---- the log ------------------------------------------------------------------------------------

void SimulatedLog::require_alive() const {
  if (!alive_) throw infra::LogUnavailable("the process has crashed");
}

void SimulatedLog::maybe_full() {
  if (world_.full_for > 0) {
    --world_.full_for;
    throw infra::LogUnavailable("the disk is full");
  }
  if (world_.strikes(Fault::disk_full, 60)) {
    world_.full_for = 1 + static_cast<int>(world_.random.below(full_attempts_max));
    throw infra::LogUnavailable("the disk is full");
  }
  if (world_.strikes(Fault::disk_error, 60)) throw infra::LogUnavailable("EIO");
}

infra::Claim SimulatedLog::claim(std::uint32_t partition, const domain::RecordedEvent& proposal) {
  world_.scheduler.pause();
  require_alive();
  maybe_full();
  world_.claim = world_.records.size();
  claimed_ = true;
  world_.records.push_back(entry_of(world_.claim, proposal));
  const infra::Claim claim{partition, world_.claim};
  world_.scheduler.pause();
  return claim;
}

AppendResult SimulatedLog::append(const infra::Claim& claim,
                                  std::span<const domain::RecordedEvent> events,
                                  std::span<const std::string>) {
  const World::Batch batch{events.begin(), events.end()};
  const std::size_t us = 1 + world_.random.below(quick_us_max);
  world_.scheduler.sleep_ns(static_cast<std::int64_t>(us) * 1000);
  if (world_.strikes(Fault::slow_append, 15)) {
    world_.scheduler.sleep_ns(static_cast<std::int64_t>(world_.random.below(slow_ms_max)) * ms);
  }
  if (!alive_) {
    // It crashed in the midst of this: its batch had reached the disk, or hadn't, or in part.
    world_.faults.count(Fault::crash_within_append);
    if (world_.claim == claim.epoch && world_.random.one_in(2)) {
      world_.append(batch);
    } else {
      world_.faults.count(Fault::torn_write);
    }
    return AppendResult::unknown;
  }
  if (world_.strikes(Fault::rival_claim, 40)) world_.claim_as_rival();
  if (!claimed_ || world_.claim != claim.epoch) {
    if (!world_.strikes(Fault::commit_after_rival, 2)) return AppendResult::fenced;
    world_.append(batch);
    return AppendResult::committed;
  }
  try {
    maybe_full();
  } catch (const infra::LogUnavailable&) {
    return AppendResult::unknown;
  }
  const AppendResult result = go_wrong(batch);
  world_.scheduler.pause();
  return result;
}

AppendResult SimulatedLog::go_wrong(const World::Batch& batch) {
  if (world_.strikes(Fault::batch_lost, 40)) return AppendResult::unknown;
  if (world_.strikes(Fault::batch_late, 30)) {
    world_.late.push_back(batch);
    return AppendResult::unknown;
  }
  world_.append(batch);
  if (world_.strikes(Fault::batch_kept, 40)) return AppendResult::unknown;
  if (world_.strikes(Fault::repeated, 20)) {
    if (world_.random.one_in(2)) {
      world_.append(batch);
    } else {
      world_.late.push_back(batch);
    }
  }
  return AppendResult::committed;
}

std::uint64_t SimulatedLog::visible() {
  if (world_.scheduler.now_ns() >= world_.visible_at_ns) world_.visible = world_.records.size();
  return world_.visible;
}

infra::LogSlice SimulatedLog::read(std::uint32_t, std::uint64_t from, std::size_t count_max) {
  world_.scheduler.pause();
  require_alive();
  if (world_.strikes(Fault::disk_error, 150)) throw infra::LogUnavailable("EIO");
  infra::LogSlice slice{{}, from};
  const std::uint64_t end = visible();
  if (from >= end) return slice;
  // Readers get what has come so far, cut anywhere; but never all that they want, or a projector
  // would begin to read ahead, on a thread that the scheduler doesn't know.
  const std::size_t few = std::max<std::size_t>(count_max - 1, 1);
  const std::size_t count = 1 + world_.random.below(std::min<std::size_t>(few, end - from));
  for (std::uint64_t offset = from; offset < from + count; ++offset) {
    slice.entries.push_back(world_.records[offset]);
  }
  slice.next_offset = from + count;
  return slice;
}

bool SimulatedLog::wait(std::uint32_t, std::uint64_t from, std::chrono::milliseconds patience) {
  constexpr std::int64_t looks = 4;
  for (std::int64_t look = 0; look < looks; ++look) {
    if (!alive_ || visible() > from) return true;
    world_.scheduler.sleep_ns(1 + patience.count() * ms / looks);
  }
  return visible() > from;
}

std::uint64_t SimulatedLog::end_offset(std::uint32_t) {
  world_.scheduler.pause();
  require_alive();
  return visible();
}

// ---- the store ----------------------------------------------------------------------------------

class SimulatedStore::Changes final : public Batch {
 public:
  explicit Changes(SimulatedStore& store) : store_(store) {}

  void put(Table table, std::string key, std::string value) override {
    changes_.push_back([=](World::Tables& tables) { tables[table][key] = value; });
  }
  void remove(Table table, std::string key) override {
    changes_.push_back([=](World::Tables& tables) { tables[table].erase(key); });
  }
  void remove_once(Table table, std::string key) override { remove(table, std::move(key)); }
  void remove_range(Table table, std::string begin, std::string end) override {
    changes_.push_back([=](World::Tables& tables) {
      auto& rows = tables[table];
      rows.erase(rows.lower_bound(begin), rows.lower_bound(end));
    });
  }
  void commit() override {
    if (World* world = store_.world_) {
      world->scheduler.pause();
      if (!store_.alive_) throw infra::StoreUnavailable("the process has crashed");
      if (world->strikes(Fault::store_full, 150)) throw infra::StoreUnavailable("no space");
    }
    for (const auto& change : changes_) change(store_.tables_);
  }

 private:
  SimulatedStore& store_;
  std::vector<std::function<void(World::Tables&)>> changes_;
};

void SimulatedStore::crash() { alive_ = false; }

void SimulatedStore::flush_to_world() { world_->flushed = tables_; }

std::unique_ptr<infra::ReadStore::Batch> SimulatedStore::begin() {
  return std::make_unique<Changes>(*this);
}

std::optional<std::string> SimulatedStore::get(Table table, std::string_view key) const {
  const auto rows = tables_.find(table);
  if (rows == tables_.end()) return std::nullopt;
  const auto row = rows->second.find(key);
  if (row == rows->second.end()) return std::nullopt;
  return row->second;
}

projections::Checkpoint SimulatedStore::checkpoint(std::uint32_t partition) const {
  const auto record = get(Table::meta, projections::keys::checkpoint(partition));
  return record ? projections::read_checkpoint(*record) : projections::Checkpoint{};
}

std::optional<std::string> SimulatedStore::contact_row(const domain::OrganizationId& organization,
                                                       const domain::ContactId& contact) const {
  return get(Table::contacts, projections::keys::contact(organization, contact));
}

std::shared_ptr<const projections::ContactView> SimulatedStore::contact(
    const domain::OrganizationId& organization, const domain::ContactId& contact) const {
  auto row = contact_row(organization, contact);
  if (world_ != nullptr) world_->delay_look_up();
  if (!row) return nullptr;
  return std::make_shared<const projections::ContactView>(
      projections::read_contact(*std::move(row)));
}

std::optional<domain::ContactId> SimulatedStore::email_holder(
    const domain::OrganizationId& organization, std::string_view email) const {
  const auto value = get(Table::emails, projections::keys::email(organization, email));
  return value ? domain::ContactId::parse(*value) : std::nullopt;
}

std::optional<projections::IdempotencyRecord> SimulatedStore::idempotency(
    std::uint32_t partition, const domain::Digest& key, domain::Instant now) const {
  const std::uint32_t today = projections::keys::day_of(now);
  for (const std::uint32_t day : {today, today - 1}) {
    const auto value = get(Table::idempotency, projections::keys::idempotency(partition, day, key));
    if (!value) continue;
    auto record = projections::read_idempotency(*value);
    if (!record.expired(now)) return record;
  }
  return std::nullopt;
}

bool SimulatedStore::knows(const domain::Digest& key) const {
  const auto rows = tables_.find(Table::idempotency);
  if (rows == tables_.end()) return false;
  const std::string_view wanted{reinterpret_cast<const char*>(key.data()), key.size()};
  return std::any_of(rows->second.begin(), rows->second.end(),
                     [&](const auto& row) { return row.first.ends_with(wanted); });
}

std::optional<domain::ApiKey> SimulatedStore::api_key(const domain::KeyId&) const {
  return std::nullopt;
}

std::vector<domain::ApiKey> SimulatedStore::api_keys(const std::optional<domain::OrganizationId>&,
                                                     const domain::KeyId&, std::size_t) const {
  not_here();
}

infra::ListPage SimulatedStore::list(const domain::OrganizationId&, const infra::ListQuery&) const {
  not_here();
}

std::optional<domain::Webhook> SimulatedStore::webhook(const domain::OrganizationId&,
                                                       const domain::WebhookId&) const {
  return std::nullopt;
}

std::vector<domain::Webhook> SimulatedStore::webhooks(
    const std::optional<domain::OrganizationId>&) const {
  not_here();
}

std::vector<projections::FeedEntry> SimulatedStore::feed(const domain::OrganizationId&,
                                                         std::uint64_t, std::size_t) const {
  not_here();
}

std::optional<projections::FeedEntry> SimulatedStore::feed_end(
    const domain::OrganizationId&) const {
  not_here();
}

void SimulatedStore::visit_range(Table, const std::string&, const std::string&,
                                 const RowVisitor&) const {
  not_here();
}

void SimulatedStore::copy_to(const std::filesystem::path&) { not_here(); }

void SimulatedStore::visit_all(const Visitor& visit) const {
  for (const auto& [table, rows] : tables_) {
    for (const auto& [key, value] : rows) visit(table, key, value);
  }
}

}  // namespace contactd::test
