#include "infra/projector.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <span>

#include "infra/errors.hpp"
#include "infra/log.hpp"

namespace contactd::infra {
namespace {

using namespace projections;

// How many contacts are remembered at once, and of how many bytes their fields may be.
constexpr std::size_t contacts_remembered_max = 4096;
constexpr std::size_t contact_bytes_remembered_max = 16U << 20U;

// The confirmed state as it is stored.
class StoredState final : public StateReader {
 public:
  explicit StoredState(const ReadStore& store) : store_(store) {}

  std::shared_ptr<const ContactView> contact(const domain::OrganizationId& organization,
                                             const domain::ContactId& contact) const override {
    return store_.contact(organization, contact);
  }
  std::optional<std::string> get(Table table, std::string_view key) const override {
    return store_.get(table, key);
  }

 private:
  const ReadStore& store_;
};

// How many contacts a write of many slices may touch, and of how many bytes their fields may be: it
// holds all of them in memory, a few times.
constexpr std::size_t far_contacts_max = 131'072;
constexpr std::size_t far_contact_bytes_max = 64U << 20U;

// The first of these entries' events.
void foresee(const FoldBatch& fold, std::span<const LogEntry> entries) {
  std::array<const domain::RecordedEvent*, FoldBatch::foreseen_max> events{};
  std::size_t count = 0;
  for (const LogEntry& entry : entries.first(std::min(entries.size(), events.size()))) {
    const auto* event = std::get_if<domain::RecordedEvent>(&entry.record);
    if (event != nullptr) events[count++] = event;
  }
  fold.foresee(std::span{events}.first(count));
}

}  // namespace

struct Projector::Far {
  Far(std::uint32_t partition, const Checkpoint& from, ReadStore& store)
      : state(store),
        batch(store.begin_large()),
        fold(partition, from, state, *batch, FoldBatch::Rows::of_the_end) {}

  StoredState state;
  std::unique_ptr<ReadStore::Batch> batch;
  FoldBatch fold;
};

std::shared_ptr<const ContactView> ConfirmedState::contact(
    const domain::OrganizationId& organization, const domain::ContactId& contact) const {
  std::string key = keys::contact(organization, contact);
  std::uint64_t age = 0;
  {
    const std::lock_guard lock{mutex_};
    if (const auto known = contacts_.find(key); known != contacts_.end()) return known->second;
    age = age_;
  }
  auto view = store_.contact(organization, contact);
  const std::lock_guard lock{mutex_};
  if (age == age_) put(std::move(key), view);
  return view;
}

void ConfirmedState::remember(const domain::RecordedEvent& event,
                              const std::shared_ptr<const ContactView>& contact) {
  const domain::ContactId* const subject = domain::subject_of(event.event).contact;
  if (subject == nullptr) return;
  std::string key = keys::contact(event.organization, *subject);
  const std::lock_guard lock{mutex_};
  ++age_;
  put(std::move(key), contact);
}

void ConfirmedState::forget_all() {
  const std::lock_guard lock{mutex_};
  ++age_;
  contacts_.clear();
  bytes_ = 0;
}

// Called with mutex_ held.
void ConfirmedState::put(std::string key, std::shared_ptr<const ContactView> contact) const {
  bytes_ += contact == nullptr ? 0 : contact->contact.values.bytes();
  if (contacts_.size() >= contacts_remembered_max || bytes_ > contact_bytes_remembered_max) {
    contacts_.clear();
    bytes_ = contact == nullptr ? 0 : contact->contact.values.bytes();
  }
  contacts_[std::move(key)] = std::move(contact);
}

Projector::Projector(std::uint32_t partition, LogReader& log, ReadStore& store, Metrics& metrics)
    : partition_(partition),
      log_(log),
      store_(store),
      metrics_(metrics),
      offset_gauge_(of_partition(metrics.fold_offset, partition)),
      checkpoint_(store.checkpoint(partition)),
      confirmed_(store) {}

Projector::~Projector() = default;

std::uint64_t Projector::position() const {
  return far_ ? far_->fold.checkpoint().next_offset : checkpoint_.next_offset;
}

bool Projector::fold_next(const OnFolded& on_folded) {
  settle();
  try {
    LogSlice slice = next_slice(Behind::perhaps);
    if (slice.next_offset <= checkpoint_.next_offset) return false;
    if (ahead_) {
      // So many contacts change that to remember each would cost more than it spares.
      fold(slice, StoredState{store_}, on_folded);
      ahead_->give_back(std::move(slice));
    } else {
      fold(slice, confirmed_, on_folded);
    }
    return true;
  } catch (...) {
    ahead_.reset();  // the next attempt begins at the checkpoint
    throw;
  }
}

bool Projector::fold_far() {
  try {
    return fold_far_or_throw();
  } catch (const BrokenLog&) {
    const bool of_many = far_ != nullptr;
    drop_far();
    if (!of_many) throw;
    return true;  // all that comes before is folded by the next calls
  } catch (...) {
    drop_far();
    throw;
  }
}

// The next attempt begins at the checkpoint, and if many slices were in the write that failed,
// slice by slice.
void Projector::drop_far() {
  ahead_.reset();
  slice_by_slice_ = slice_by_slice_ || far_ != nullptr;
  far_.reset();
}

bool Projector::fold_far_or_throw() {
  LogSlice slice = next_slice(Behind::far);
  if (slice.next_offset <= position()) {
    const bool folded = far_ != nullptr;
    settle();
    slice_by_slice_ = false;
    return folded;
  }
  if (!far_ && (!ahead_ || slice_by_slice_)) {
    fold(slice, StoredState{store_}, [](const auto&, const auto&) {});
    return true;
  }
  if (!far_) far_ = std::make_unique<Far>(partition_, checkpoint_, store_);
  apply(slice, far_->fold, [](const auto&, const auto&) {});
  if (ahead_) ahead_->give_back(std::move(slice));
  if (far_->fold.contacts() >= far_contacts_max ||
      far_->fold.contact_bytes() >= far_contact_bytes_max) {
    settle();
  }
  return true;
}

void Projector::settle() {
  if (!far_) return;
  try {
    far_->fold.finish();
    far_->batch->commit();
  } catch (...) {
    drop_far();
    throw;
  }
  stored(far_->fold.checkpoint());
  far_.reset();
  confirmed_.forget_all();
}

LogSlice Projector::next_slice(Behind behind) {
  if (ahead_) {
    if (auto slice = ahead_->take()) return *std::move(slice);
    ahead_.reset();
  }
  LogSlice slice = log_.read(partition_, position(), slice_records_max);
  const bool many = slice.entries.size() == slice_records_max ||
                    (behind == Behind::far && slice.next_offset > position() &&
                     slice.next_offset + slice_records_max <= log_.end_offset(partition_));
  if (many) ahead_.emplace(log_, partition_, slice.next_offset);
  return slice;
}

// Of a slice in which the log breaks, what comes before is folded all the same.
void Projector::fold(LogSlice& slice, const StateReader& state, const OnFolded& on_folded) {
  try {
    fold_whole(slice, state, on_folded);
  } catch (const BrokenLog&) {
    slice.entries.resize(applied_);
    if (!slice.entries.empty()) fold_whole(slice, state, on_folded);
    throw;
  }
}

void Projector::fold_whole(const LogSlice& slice, const StateReader& state,
                           const OnFolded& on_folded) {
  const auto started = std::chrono::steady_clock::now();
  const auto batch = store_.begin();
  FoldBatch fold{partition_, checkpoint_, state, *batch};
  std::vector<std::pair<const domain::RecordedEvent*, FoldBatch::Result>> folded;
  folded.reserve(slice.entries.size());
  apply(slice, fold, [&](const domain::RecordedEvent& event, FoldBatch::Result result) {
    folded.emplace_back(&event, std::move(result));
  });
  fold.finish();
  batch->commit();
  stored(fold.checkpoint());
  // Before anybody is told: who hears of an event decides on what it has led to.
  if (&state == &confirmed_) {
    for (const auto& [event, result] : folded) {
      if (result.admission == Admission::current) confirmed_.remember(*event, result.contact);
    }
  } else {
    confirmed_.forget_all();
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  metrics_.fold_seconds.Observe(took.count());
  for (const auto& [event, result] : folded) on_folded(*event, result);
}

// Throws BrokenLog, having applied the first `applied_` entries.
void Projector::apply(const LogSlice& slice, FoldBatch& fold, const OnApplied& on_applied) {
  std::size_t current = 0;
  for (std::size_t i = 0; i < slice.entries.size(); ++i) {
    applied_ = i;
    if (i % FoldBatch::foreseen_max == 0) foresee(fold, std::span{slice.entries}.subspan(i));
    const LogEntry& entry = slice.entries[i];
    if (const auto* unreadable = std::get_if<UnreadableRecord>(&entry.record)) {
      throw projections::unreadable_record(entry.offset, unreadable->reason);
    }
    if (const auto* foreign = std::get_if<ForeignRecord>(&entry.record)) {
      spdlog::warn("partition {}: passed over offset {}: {}", partition_, entry.offset,
                   foreign->reason);
      metrics_.fold_foreign.Increment();
      fold.skip(entry.offset);
      continue;
    }
    const auto& event = std::get<domain::RecordedEvent>(entry.record);
    FoldBatch::Result result = fold.apply(entry.offset, event, entry.canonical);
    if (result.admission == Admission::current) {
      ++current;
    } else {
      count_refused(result.admission, entry.offset);
    }
    on_applied(event, std::move(result));
  }
  metrics_.fold_events.Increment(static_cast<double>(current));
}

void Projector::stored(const Checkpoint& checkpoint) {
  checkpoint_ = checkpoint;
  offset_gauge_.Set(static_cast<double>(checkpoint_.next_offset));
}

void Projector::count_refused(Admission admission, std::uint64_t offset) {
  if (log_.has_one_writer()) throw misplaced_event(offset);
  if (admission == Admission::stale_claim) {
    metrics_.fold_stale_claim.Increment();
    spdlog::warn("partition {}: offset {} is of a writer that was fenced; not applied", partition_,
                 offset);
  } else {
    metrics_.fold_out_of_sequence.Increment();
    spdlog::warn("partition {}: offset {} isn't its writer's next event; not applied", partition_,
                 offset);
  }
}

}  // namespace contactd::infra
