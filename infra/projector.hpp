#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <unordered_map>

#include "infra/event_log.hpp"
#include "infra/metrics.hpp"
#include "infra/read_ahead.hpp"
#include "infra/read_store.hpp"
#include "projections/fold.hpp"

namespace contactd::infra {

// The confirmed state, remembering contacts that it was asked for, and those that have changed: a
// contact is read once to decide and once more to fold, moments apart, and is often changed again.
//
// Threads: any. One that is asked for while it changes, as by another writer's events, is given as
// it was or as it is, and never remembered as it was.
class ConfirmedState final : public projections::StateReader {
 public:
  // REQUIRES: `store` outlives this, and shows what was folded before remember() is called.
  explicit ConfirmedState(const projections::StateReader& store) : store_(store) {}

  std::shared_ptr<const projections::ContactView> contact(
      const domain::OrganizationId& organization, const domain::ContactId& contact) const override;
  std::optional<std::string> get(projections::Table table, std::string_view key) const override {
    return store_.get(table, key);
  }
  // The event was just folded and applied, and has left the contact that it was about like this;
  // null: it was about none, or has deleted it.
  void remember(const domain::RecordedEvent& event,
                const std::shared_ptr<const projections::ContactView>& contact);
  void forget_all();

 private:
  void put(std::string key, std::shared_ptr<const projections::ContactView> contact) const;

  const projections::StateReader& store_;
  // Guarded by mutex_.
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::string, std::shared_ptr<const projections::ContactView>>
      contacts_;
  mutable std::size_t bytes_ = 0;  // that were put since they were forgotten
  std::uint64_t age_ = 0;  // raised by all that may make what a reader has just read an old one
};

// Reads one partition of the log and folds it into the store.
// Threads: one at a time; confirmed() from any.
class Projector {
 public:
  using OnFolded =
      std::function<void(const domain::RecordedEvent&, const projections::FoldBatch::Result&)>;

  Projector(std::uint32_t partition, LogReader& log, ReadStore& store, Metrics& metrics);
  // Drops what was not stored.
  ~Projector();

  // Folds what the log shows now, at most so much of it as is folded in one write. Calls
  // `on_folded` for each event, applied or not, once what it did is stored and visible. Returns
  // false if the log shows nothing new.
  // Throws LogUnavailable; StoreUnavailable; and, for a log that must not be folded further,
  // projections::BrokenLog, once all that comes before is folded.
  bool fold_next(const OnFolded& on_folded);

  // The same for who is far behind and wants no results: where many slices follow, they become one
  // write, which costs a contact that changes often little more than one that changes once. What it
  // folds is visible when it finds nothing new, or after settle(), or once it holds many contacts;
  // until then position() is past the checkpoint. After a failure it begins again at the
  // checkpoint, slice by slice. Throws as fold_next().
  bool fold_far();
  // Stores what fold_far() has folded. Throws StoreUnavailable.
  void settle();

  const projections::Checkpoint& checkpoint() const { return checkpoint_; }
  // The offset up to which it has folded, whether that is stored or not.
  std::uint64_t position() const;
  const projections::StateReader& confirmed() const { return confirmed_; }

 private:
  // Many slices, folded as one write.
  struct Far;

  enum class Behind : std::uint8_t { perhaps, far };
  LogSlice next_slice(Behind behind);
  void fold(LogSlice& slice, const projections::StateReader& state, const OnFolded& on_folded);
  void fold_whole(const LogSlice& slice, const projections::StateReader& state,
                  const OnFolded& on_folded);
  using OnApplied =
      std::function<void(const domain::RecordedEvent&, projections::FoldBatch::Result)>;
  void apply(const LogSlice& slice, projections::FoldBatch& fold, const OnApplied& on_applied);
  bool fold_far_or_throw();
  void drop_far();
  void stored(const projections::Checkpoint& checkpoint);
  void count_refused(projections::Admission admission, std::uint64_t offset);

  const std::uint32_t partition_;
  LogReader& log_;
  ReadStore& store_;
  Metrics& metrics_;
  prometheus::Gauge& offset_gauge_;
  projections::Checkpoint checkpoint_;
  ConfirmedState confirmed_;
  // There is one while the log is far ahead of what was folded.
  std::optional<ReadAhead> ahead_;
  std::unique_ptr<Far> far_;
  std::size_t applied_ = 0;      // entries of the slice that was applied last
  bool slice_by_slice_ = false;  // a write of many failed; until all is folded
};

}  // namespace contactd::infra
