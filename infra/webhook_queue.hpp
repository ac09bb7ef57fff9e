#pragma once

#include <cstdint>
#include <deque>
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
  };

  // `next_offset` is the first one that add() or passed() may be told of.
  explicit WebhookQueue(std::uint64_t next_offset) : next_offset_(next_offset) {}

  // One that is to be sent, of a higher offset than those added before. REQUIRES: has_room().
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

  // If it waits here: it is due now, if it isn't behind another one of its contact.
  bool hurry(std::uint64_t offset, domain::Instant now);

  const Event* find(std::uint64_t offset) const;
  // Whether it is sent by hand, before its time.
  bool hurried(std::uint64_t offset) const;
  std::size_t size() const { return events_.size(); }
  // Of the oldest event that waits.
  std::optional<domain::Instant> oldest() const;
  std::uint64_t next_offset() const { return next_offset_; }
  std::vector<std::uint64_t> pending() const;

 private:
  void offer(const Event& event) { heads_.emplace(event.due, event.offset); }

  std::uint64_t next_offset_;
  std::map<std::uint64_t, Event> events_;
  std::map<domain::ContactId, std::deque<std::uint64_t>> contacts_;  // ascending
  // The first of each contact, but for those in flight, by when they are due.
  std::set<std::pair<domain::Instant, std::uint64_t>> heads_;
};

}  // namespace contactd::infra
