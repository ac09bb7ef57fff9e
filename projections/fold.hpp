#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "domain/events.hpp"
#include "domain/organization/api_key.hpp"
#include "domain/organization/webhook.hpp"
#include "projections/broken_log.hpp"
#include "projections/checkpoint.hpp"
#include "projections/contact_view.hpp"
#include "projections/key_hash.hpp"
#include "projections/key_layout.hpp"

namespace contactd::projections {

// The confirmed read models, as the fold and the writer read them.
// Threads: as the implementation says.
class StateReader {
 public:
  virtual ~StateReader() = default;

  // Null where there is no such contact.
  virtual std::shared_ptr<const ContactView> contact(const domain::OrganizationId& organization,
                                                     const domain::ContactId& contact) const = 0;
  virtual std::optional<std::string> get(Table table, std::string_view key) const = 0;
};

// Takes the writes of a fold; all of a batch's become visible and durable together.
class WriteSink {
 public:
  virtual ~WriteSink() = default;

  virtual void put(Table table, std::string key, std::string value) = 0;
  virtual void remove(Table table, std::string key) = 0;
  // REQUIRES: a key of by_update, which was put exactly once. Other keys of it aren't removed.
  virtual void remove_once(Table table, std::string key) = 0;
  // Removes the keys from `begin` up to, without, `end`.
  virtual void remove_range(Table table, std::string begin, std::string end) = 0;
};

// Folds a run of one partition's log into writes. The log is its only input beside what it folded
// before: the same log gives the same bytes in every table, however it is cut into batches.
//
// Threads: one at a time. `confirmed` must not change while a FoldBatch lives.
class FoldBatch {
 public:
  struct Result {
    Admission admission = Admission::current;
    // The contact that the event touched, right after it; null where it touched or left none.
    std::shared_ptr<const ContactView> contact;
  };

  // How the rows of contacts that replace each other are written.
  enum class Rows : std::uint8_t {
    of_each_event,  // as it is applied
    // By finish(), once, as the batch leaves them: for a batch of many events, of which nobody
    // wants the results. A Result's contact has no row.
    of_the_end,
  };

  FoldBatch(std::uint32_t partition, const Checkpoint& from, const StateReader& confirmed,
            WriteSink& sink, Rows rows = Rows::of_each_event);

  // Begins to load what the batch has of the contacts that the events are about: in a batch of the
  // end they lie all over the memory, and apply() would wait for each. Changes nothing.
  // REQUIRES: at most `foreseen_max` events.
  static constexpr std::size_t foreseen_max = 16;
  void foresee(std::span<const domain::RecordedEvent* const> events) const;

  // Folds the event at `offset`, of which the log has these canonical bytes (event_chain.hpp).
  // Throws BrokenLog, or CorruptRecord from what was folded before; the batch must then be dropped
  // whole.
  Result apply(std::uint64_t offset, const domain::RecordedEvent& event,
               std::string_view canonical);
  Result apply(std::uint64_t offset, const domain::RecordedEvent& event) {
    return apply(offset, event, canonical_bytes(event));
  }

  // Passes over a record that is no event of this log's. The caller has counted it.
  void skip(std::uint64_t offset) { checkpoint_.next_offset = offset + 1; }

  // Writes what the batch holds back until its end: counts and checkpoint. Nothing may be applied
  // afterwards.
  void finish();

  const Checkpoint& checkpoint() const { return checkpoint_; }
  // How many contacts it holds in memory, and of how many bytes their fields are.
  std::size_t contacts() const { return contacts_.size(); }
  std::size_t contact_bytes() const { return contact_bytes_; }

 private:
  struct Counts {
    std::uint64_t active = 0;
    std::uint64_t inactive = 0;
  };
  struct Context {
    std::uint64_t offset;
    const domain::RecordedEvent& event;
    domain::Instant previous_time;  // of the last event applied before this one
  };
  using View = std::shared_ptr<const ContactView>;
  // Names a contact; without memory of its own for most names, which are looked up for each event.
  struct ContactRef {
    domain::ContactId contact;
    domain::OrganizationId organization;

    bool operator==(const ContactRef&) const = default;
  };
  struct ContactRefHash {
    // The id alone is random enough.
    std::size_t operator()(const ContactRef& ref) const { return KeyHash{}(ref.contact.view()); }
  };
  // A contact that the batch has come upon. Null: it isn't there.
  struct Touched {
    View before;  // of_the_end: what the indexes said of it before the batch
    View now;
    ContactView* own = nullptr;  // of_the_end: what `now` points to, if this batch has made it
    bool changed = false;
  };
  using Contacts = absl::flat_hash_map<ContactRef, Touched, ContactRefHash>;

  View on(const Context& context, const domain::ContactCreated& event);
  View on(const Context& context, const domain::ContactUpdated& event);
  View on(const Context& context, const domain::ContactDeleted& event);
  View on(const Context& context, const domain::ApiKeyCreated& event);
  View on(const Context& context, const domain::ApiKeyRevoked& event);
  View on(const Context& context, const domain::RequestAnswered& event);
  View on(const Context& context, const domain::WriterClaimed& event);
  // The events about webhooks.
  template <class WebhookEvent>
  View on(const Context& context, const WebhookEvent& event);

  // The contact, looked up if the batch hasn't come upon it yet.
  Contacts::value_type& find(const domain::OrganizationId& organization,
                             const domain::ContactId& contact);
  View put(Contacts::value_type& touched, domain::ContactState state, std::uint64_t offset);
  View update(Contacts::value_type& touched, const domain::ContactUpdated& event,
              domain::Instant time, std::uint64_t offset);
  void replace(Contacts::value_type& touched, const View& after);
  // Bring the tables from `before` to `after`; either may be null. The emails that are given up
  // come before those that are taken: one may go from a contact to another.
  void give_up_email(const domain::OrganizationId& organization, const View& before,
                     const View& after);
  void write_rows(const ContactRef& ref, const View& before, const View& after);
  void take_email(const domain::OrganizationId& organization, const domain::Contact* before,
                  const domain::Contact* after);
  void replace_tags(const domain::OrganizationId& organization, const domain::Contact* before,
                    const domain::Contact* after);
  // Whether the contact was active and is now; nothing: there was or is none.
  void replace_count(const domain::OrganizationId& organization, std::optional<bool> before,
                     std::optional<bool> after);
  void write_held_back();
  void put_idempotency(const Context& context, const View& contact);
  Counts& counts_of(const domain::OrganizationId& organization);
  // The key, as it is by now; it is `problem` where there is none.
  domain::ApiKey api_key(const Context& context, const domain::KeyId& id, const char* problem);
  void put_api_key(const domain::ApiKey& key);

  const std::uint32_t partition_;
  Checkpoint checkpoint_;
  const StateReader& confirmed_;
  WriteSink& sink_;
  const Rows rows_;
  Contacts contacts_;
  std::size_t contact_bytes_ = 0;
  std::unordered_map<std::string, Counts> counts_;              // by key
  std::unordered_map<domain::KeyId, domain::ApiKey> api_keys_;  // touched in this batch
  // The same of webhooks, by key; nothing: deleted.
  std::unordered_map<std::string, std::optional<domain::Webhook>> webhooks_;
};

// Reads table `counts`.
struct ContactCounts {
  std::uint64_t active = 0;
  std::uint64_t inactive = 0;
};
ContactCounts read_counts(const std::optional<std::string>& record);

}  // namespace contactd::projections
