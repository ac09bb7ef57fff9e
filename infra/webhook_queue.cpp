#include "infra/webhook_queue.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace contactd::infra {

void WebhookQueue::add(const Event& event) {
  assert(has_room());
  const auto [first, added] = contacts_.emplace(event.contact, event.offset);
  if (added) {
    events_.emplace(event.offset, event);
    return event.sought_to ? done(event.offset) : offer(event);
  }
  if (event.offset == first->second) return;  // read once more, after trouble
  Event& before = events_.at(first->second);
  before.last_behind = std::max(before.last_behind, event.offset);
}

const WebhookQueue::Event* WebhookQueue::take(domain::Instant now) {
  if (waiting_.empty() || waiting_.begin()->first > now) return nullptr;
  Event& event = events_.at(waiting_.begin()->second);
  waiting_.erase(waiting_.begin());
  event.in_flight = true;
  return &event;
}

std::optional<domain::Instant> WebhookQueue::next_due() const {
  if (waiting_.empty()) return std::nullopt;
  return waiting_.begin()->first;
}

void WebhookQueue::done(std::uint64_t offset) {
  const auto found = events_.find(offset);
  if (found == events_.end()) return;
  Event& event = found->second;
  if (event.last_behind <= offset) return was_last(offset);
  event.in_flight = false;
  event.sought_to = offset;
  seeking_.insert(offset);
}

const WebhookQueue::Event* WebhookQueue::seeking() const {
  return seeking_.empty() ? nullptr : &events_.at(*seeking_.begin());
}

void WebhookQueue::sought(std::uint64_t offset, std::uint64_t sought_to) {
  events_.at(offset).sought_to = sought_to;
}

void WebhookQueue::was_last(std::uint64_t offset) {
  const auto found = events_.find(offset);
  contacts_.erase(found->second.contact);
  seeking_.erase(offset);
  events_.erase(found);
}

void WebhookQueue::followed_by(std::uint64_t offset, Event next) {
  next.last_behind = events_.at(offset).last_behind;
  was_last(offset);
  add(next);
}

void WebhookQueue::failed(std::uint64_t offset, domain::Instant next_due) {
  const auto found = events_.find(offset);
  if (found == events_.end()) return;
  ++found->second.attempts;
  found->second.due = next_due;
  found->second.due_by_schedule.reset();
  untake(offset);
}

void WebhookQueue::failed_by_hand(std::uint64_t offset) {
  const auto found = events_.find(offset);
  if (found == events_.end()) return;
  Event& event = found->second;
  if (event.due_by_schedule) event.due = *std::exchange(event.due_by_schedule, std::nullopt);
  untake(offset);
}

void WebhookQueue::untake(std::uint64_t offset) {
  const auto found = events_.find(offset);
  if (found == events_.end() || !found->second.in_flight) return;
  found->second.in_flight = false;
  offer(found->second);
}

bool WebhookQueue::hurry(std::uint64_t offset, const domain::ContactId& contact,
                         domain::Instant now) {
  if (!waits(offset, contact)) return false;
  const auto found = events_.find(offset);
  if (found == events_.end()) return true;  // behind another one
  Event& event = found->second;
  if (event.in_flight || event.due <= now) return true;
  waiting_.erase({event.due, offset});
  event.due_by_schedule = event.due;
  event.due = now;
  offer(event);
  return true;
}

bool WebhookQueue::waits(std::uint64_t offset, const domain::ContactId& contact) const {
  const auto known = contacts_.find(contact);
  if (known == contacts_.end()) return false;
  const Event& first = events_.at(known->second);
  if (offset == first.offset) return !first.sought_to;
  return first.offset < offset && offset <= first.last_behind;
}

const WebhookQueue::Event* WebhookQueue::find(std::uint64_t offset) const {
  const auto found = events_.find(offset);
  return found == events_.end() ? nullptr : &found->second;
}

bool WebhookQueue::hurried(std::uint64_t offset) const {
  const Event* event = find(offset);
  return event != nullptr && event->due_by_schedule;
}

std::optional<domain::Instant> WebhookQueue::oldest() const {
  if (events_.empty()) return std::nullopt;
  return events_.begin()->second.time;
}

std::vector<std::uint64_t> WebhookQueue::pending() const {
  std::vector<std::uint64_t> offsets;
  offsets.reserve(events_.size());
  for (const auto& [offset, event] : events_) offsets.push_back(offset);
  return offsets;
}

}  // namespace contactd::infra
