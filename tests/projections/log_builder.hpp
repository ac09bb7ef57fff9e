#pragma once

#include <map>
#include <optional>
#include <vector>

#include "domain/contact/decide.hpp"
#include "tests/domain/random_commands.hpp"

namespace contactd::test {

// Writes a log as a writer would: claims, stamps, ids, times. Offset = index.
class LogBuilder {
 public:
  LogBuilder() { claim(); }

  LogBuilder& claim() {
    claim_ = log.size();
    sequence_ = 1;
    add({}, domain::WriterClaimed{"writer"}, domain::Stamp{});
    log.back().organization = {};
    log.back().actor = "contactd";
    return *this;
  }
  LogBuilder& at(domain::Instant time) {
    time_ = time;
    return *this;
  }
  LogBuilder& in(std::string_view organization) {
    organization_ = org(organization);
    return *this;
  }
  LogBuilder& with_key(std::uint8_t key, std::uint8_t request = 1) {
    idempotency_ = domain::IdempotencyStamp{digest(key), digest(request)};
    return *this;
  }
  // The claim's next event; the idempotency key given before is this event's.
  LogBuilder& then(domain::Event event) {
    return add(std::exchange(idempotency_, std::nullopt), std::move(event),
               domain::Stamp{claim_, sequence_++});
  }
  // An event that proves less than it should.
  LogBuilder& stray(domain::Event event, domain::Stamp stamp) {
    return add(std::exchange(idempotency_, std::nullopt), std::move(event), stamp);
  }
  domain::Stamp next_stamp() const { return {claim_, sequence_}; }

  std::vector<domain::RecordedEvent> log;

 private:
  LogBuilder& add(std::optional<domain::IdempotencyStamp> idempotency, domain::Event event,
                  domain::Stamp stamp) {
    const std::uint64_t n = log.size();
    log.push_back({domain::EventId::from(time_.unix_ms, {n, n}), time_, organization_, "key1",
                   "request" + std::to_string(n), idempotency, stamp, std::move(event)});
    return *this;
  }

  domain::Instant time_ = noon;
  domain::OrganizationId organization_ = org("acme");
  std::optional<domain::IdempotencyStamp> idempotency_;
  std::uint64_t claim_ = 0;
  std::uint64_t sequence_ = 1;
};

// A log that the rules could have written: random commands, decided one after the other by the
// real decide() on plain maps; among them claims, fenced writers' leftovers, repeats, and days
// that pass.
class RandomLog {
 public:
  explicit RandomLog(Random& random) : random_(random), commands_(random) {}

  void run(int commands) {
    for (; commands > 0; --commands) {
      disturb();
      builder_.at({now_ += static_cast<std::int64_t>(random_.below(3))});
      const domain::OrganizationId of = commands_.organization();
      builder_.in(of.str());
      if (random_.one_in(15)) {
        run_key_command(of);
      } else if (random_.one_in(12)) {
        run_webhook_command(of);
      } else {
        run_contact_command(of);
      }
    }
  }

  const std::vector<domain::RecordedEvent>& log() const { return builder_.log; }
  const std::map<std::pair<domain::OrganizationId, domain::ContactId>, domain::ContactState>&
  states() const {
    return states_;
  }

 private:
  // What isn't a command: none of it but the claims and the time may change anything.
  void disturb() {
    if (random_.one_in(25)) builder_.claim();
    if (random_.one_in(40)) now_ += hour_ms * static_cast<std::int64_t>(random_.below(50));
    if (!random_.one_in(10)) return;
    const domain::Stamp next = builder_.next_stamp();
    const domain::Event stray = created(contact_id("stray"), "ann@x.io");
    if (random_.one_in(2)) {
      builder_.stray(stray, {next.claim + 1 + random_.below(3), next.sequence});
    } else {
      builder_.stray(stray, {next.claim, next.sequence + (random_.one_in(2) ? 1 : 7)});
    }
  }

  void run_key_command(const domain::OrganizationId&) {
    if (keys_.empty() || random_.one_in(2)) {
      domain::ApiKeyCreated event{"key" + std::to_string(keys_.size()),
                                  random_.text(5),
                                  {domain::Scope::read, webhooks_scope()},
                                  digest(static_cast<std::uint8_t>(keys_.size()))};
      if (random_.one_in(2)) event.expires_at = domain::Instant{now_ + hour_ms};
      if (!keys_.empty() && random_.one_in(2)) {
        event.replaces = {random_.pick(keys_), domain::Instant{now_ + hour_ms / 2}};
      }
      keys_.push_back(event.key);
      builder_.then(event);
    } else {
      builder_.then(domain::ApiKeyRevoked{random_.pick(keys_)});
    }
  }

  domain::Scope webhooks_scope() {
    return random_.one_in(2) ? domain::Scope::none : domain::Scope::write;
  }

  void run_webhook_command(const domain::OrganizationId& of) {
    auto& known = webhooks_[of];
    const domain::WebhookSettings settings{"https://x.io/" + std::to_string(random_.below(9)),
                                           random_.text(4),
                                           {"contactd.contact.created.v1"},
                                           random_.one_in(2)};
    if (known.empty() || random_.one_in(3)) {
      known.push_back("webhook" + std::to_string(next_webhook_++));
      builder_.then(domain::WebhookCreated{known.back(), settings, random_.bits()});
      return;
    }
    const domain::WebhookId id = random_.pick(known);
    switch (random_.below(5)) {
      case 0:
        builder_.then(domain::WebhookUpdated{id, settings});
        break;
      case 1:
        builder_.then(domain::WebhookDisabled{id, "gone"});
        break;
      case 2:
        builder_.then(domain::WebhookSecretRotated{id, 2, random_.bits()});
        break;
      case 3:
        builder_.then(domain::WebhookProgressed{id, builder_.log.size(), {1, 2}});
        break;
      default:
        builder_.then(domain::WebhookDeleted{id});
        std::erase(known, id);
    }
  }

  void run_contact_command(const domain::OrganizationId& of) {
    std::vector<domain::ContactId> known;
    for (const auto& [key, state] : states_) {
      if (key.first == of) known.push_back(key.second);
    }
    const domain::Command command = !known.empty() && random_.one_in(6)
                                        ? revert(of, random_.pick(known))
                                        : commands_.next(known);
    std::visit(
        [&](const auto& asked) {
          if constexpr (requires { asked.id; }) decide_one(of, asked);
        },
        command);
  }

  domain::Command revert(const domain::OrganizationId& of, const domain::ContactId& id) {
    const auto& past = past_[{of, id}];
    domain::RevertContact command{id, 1 + random_.below(past.size() + 1), {}, domain::AnyVersion{}};
    if (command.version <= past.size()) command.past = domain::patch_to(past[command.version - 1]);
    return command;
  }

  template <class Asked>
  void decide_one(const domain::OrganizationId& of, const Asked& asked) {
    domain::ContactState& state = states_[{of, asked.id}];
    const domain::Decision decision = domain::decide(asked, state, holder(of, asked));
    const bool with_key = random_.one_in(3);
    if (with_key) builder_.with_key(next_key_++);
    if (const auto* event = std::get_if<domain::Event>(&decision)) {
      builder_.then(*event);
      std::visit(
          [&](const auto& fact) {
            if constexpr (requires { evolve(state, fact, domain::Instant{}); }) {
              state = evolve(std::move(state), fact, domain::Instant{now_});
            }
          },
          *event);
      if (const auto* contact = std::get_if<domain::Contact>(&state)) {
        past_[{of, asked.id}].push_back(*contact);
      }
    } else if (with_key) {
      const auto* refused = std::get_if<domain::Rejection>(&decision);
      if (refused == nullptr) {
        builder_.then(domain::RequestAnswered{asked.id});
      } else {
        builder_.then(domain::RequestAnswered{*refused});
      }
    }
  }

  template <class Asked>
  std::optional<domain::ContactId> holder(const domain::OrganizationId& of,
                                          const Asked& asked) const {
    std::optional<std::string_view> email;
    if constexpr (requires { asked.values; }) email = domain::email_set_by(asked.values);
    if constexpr (requires { asked.past; }) {
      if (asked.past) email = domain::email_set_by(*asked.past);
    }
    if constexpr (requires { asked.patch; }) email = domain::email_set_by(asked.patch);
    if (!email) return std::nullopt;
    for (const auto& [key, state] : states_) {
      const auto* contact = std::get_if<domain::Contact>(&state);
      if (key.first != of || contact == nullptr) continue;
      const domain::FieldView has = (*contact)[domain::Field::email];
      if (!has.is_null() && has.unquoted() == *email) return key.second;
    }
    return std::nullopt;
  }

  Random& random_;
  RandomCommands commands_;
  LogBuilder builder_;
  std::int64_t now_ = noon.unix_ms;
  std::map<std::pair<domain::OrganizationId, domain::ContactId>, domain::ContactState> states_;
  // The versions that each contact had, from 1 on.
  std::map<std::pair<domain::OrganizationId, domain::ContactId>, std::vector<domain::Contact>>
      past_;
  std::vector<domain::KeyId> keys_;
  std::map<domain::OrganizationId, std::vector<domain::WebhookId>> webhooks_;
  int next_webhook_ = 0;
  std::uint8_t next_key_ = 0;
};

}  // namespace contactd::test
