#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "domain/ids.hpp"
#include "domain/instant.hpp"
#include "domain/organization/webhook.hpp"

namespace contactd::infra {

// What one endpoint still has to be sent, and when: the events of a contact one after the other,
// each once the one before it was delivered or given up; those of different contacts independently.
// Of each contact only the first one is here, so that one which fails for days takes no more room
// the more its contact changes; those behind it are sought in the feed once it is done.
// Knows no I/O and no clock.
class WebhookQueue {
 public:
  struct Event {
    std::uint64_t offset = 0;
    domain::ContactId contact;
    domain::Instant time;      // of the event
    unsigned attempts = 0;     // that have failed
    domain::Instant due = {};  // not to be sent before
    bool in_flight = false;
    // Hurried: when it was due before that.
    std::optional<domain::Instant> due_by_schedule = {};
    std::uint64_t last_behind = 0;  // later ones of its contact may wait up to here; 0: none do
    // Done: up to where the one behind it was sought.
    std::optional<std::uint64_t> sought_to = {};
  };

  // `next_offset` is the first one that add() or passed() may be told of.
  explicit WebhookQueue(std::uint64_t next_offset) : next_offset_(next_offset) {}

  // One that is to be sent, or is done already, of a higher offset than the contact's that are
  // here. REQUIRES: has_room().
  void add(const Event& event);
  // All events before this offset were looked at.
  void passed(std::uint64_t next_offset) { next_offset_ = next_offset; }
  bool has_room() const { return events_.size() < domain::webhook_pending_max; }

  // The one that has been due for longest, which is in flight from now on; nothing if none is due.
  const Event* take(domain::Instant now);
  // When the next one will be due; nothing if none waits for its time.
  std::optional<domain::Instant> next_due() const;

  // The outcomes of what is in flight.
  void done(std::uint64_t offset);
  void failed(std::uint64_t offset, domain::Instant next_due);
  // Of one that was hurried: the schedule goes on as if it hadn't been sent.
  void failed_by_hand(std::uint64_t offset);
  // Puts it back as if it hadn't been taken.
  void untake(std::uint64_t offset);

  // One that is done and has others behind it, the first of which is to be sought between
  // `sought_to` and next_offset(); nothing if there is none. Until that is found it is pending.
  const Event* seeking() const;
  // What was found: nothing up to `sought_to`; nothing at all; this one.
  void sought(std::uint64_t offset, std::uint64_t sought_to);
  void was_last(std::uint64_t offset);
  void followed_by(std::uint64_t offset, Event next);

  // If it is still to be sent, and is here: it is due now. False: it isn't to be sent.
  bool hurry(std::uint64_t offset, const domain::ContactId& contact, domain::Instant now);

  // Whether it is to be sent: is here, or behind one of its contact that is.
  bool waits(std::uint64_t offset, const domain::ContactId& contact) const;
  const Event* find(std::uint64_t offset) const;
  // Whether it is sent by hand, before its time.
  bool hurried(std::uint64_t offset) const;
  std::size_t size() const { return events_.size(); }  // as many contacts
  // Of the oldest event that waits.
  std::optional<domain::Instant> oldest() const;
  std::uint64_t next_offset() const { return next_offset_; }
  // With each, those behind it are pending too.
  std::vector<std::uint64_t> pending() const;

 private:
  void offer(const Event& event) { waiting_.emplace(event.due, event.offset); }

  std::uint64_t next_offset_;
  std::map<std::uint64_t, Event> events_;
  std::map<domain::ContactId, std::uint64_t> contacts_;  // the offset of each one's event
  // Those neither in flight nor done, by when they are due.
  std::set<std::pair<domain::Instant, std::uint64_t>> waiting_;
  std::set<std::uint64_t> seeking_;  // those that are done
};

}  // namespace contactd::infra
