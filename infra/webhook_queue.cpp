#include "infra/webhook_queue.hpp"

#include <cassert>
#include <utility>

namespace contactd::infra {

void WebhookQueue::add(const Event& event) {
  assert(has_room() && (events_.empty() || events_.rbegin()->first < event.offset));
  const Event& added = events_.emplace(event.offset, event).first->second;
  auto& of_contact = contacts_[event.contact];
  of_contact.push_back(event.offset);
  if (of_contact.size() == 1) offer(added);
}

const WebhookQueue::Event* WebhookQueue::take(domain::Instant now) {
  if (heads_.empty() || heads_.begin()->first > now) return nullptr;
  Event& event = events_.at(heads_.begin()->second);
  heads_.erase(heads_.begin());
  event.in_flight = true;
  return &event;
}

std::optional<domain::Instant> WebhookQueue::next_due() const {
  if (heads_.empty()) return std::nullopt;
  return heads_.begin()->first;
}

void WebhookQueue::done(std::uint64_t offset) {
  const auto found = events_.find(offset);
  if (found == events_.end()) return;
  const auto contact = contacts_.find(found->second.contact);
  assert(contact->second.front() == offset);
  events_.erase(found);
  contact->second.pop_front();
  if (contact->second.empty()) {
    contacts_.erase(contact);
  } else {
    offer(events_.at(contact->second.front()));
  }
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

bool WebhookQueue::hurry(std::uint64_t offset, domain::Instant now) {
  const auto found = events_.find(offset);
  if (found == events_.end()) return false;
  Event& event = found->second;
  if (event.in_flight || event.due <= now) return true;
  const bool offered = heads_.erase({event.due, offset}) > 0;
  event.due_by_schedule = event.due;
  event.due = now;
  if (offered) offer(event);
  return true;
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
