#include "infra/batch_decider.hpp"

#include <algorithm>
#include <cassert>
#include <cstdlib>

#include "domain/contact/decide.hpp"
#include "infra/errors.hpp"
#include "infra/log.hpp"
#include "infra/random.hpp"
#include "projections/event_chain.hpp"

namespace contactd::infra {

using namespace domain;
using projections::ContactAnswer;
using projections::ContactView;
using projections::DeletedAnswer;

namespace {

// The contact that a command is about, or null for one about something else.
const ContactId* contact_of(const Command& command) {
  return std::visit(
      [](const auto& c) -> const ContactId* {
        if constexpr (requires { c.id; }) {
          return &c.id;
        } else {
          return nullptr;
        }
      },
      command);
}

Outcome contact_outcome(const ContactView& view, bool created) {
  return {ContactAnswer{created, view.contact.version, std::string{view.json()}}};
}

}  // namespace

BatchDecider::BatchDecider(std::uint32_t partition, const Claim& claim, Start start,
                           const projections::StateReader& confirmed, const ReadStore& store,
                           Bases bases)
    : partition_(partition),
      claim_(claim),
      confirmed_(confirmed),
      store_(store),
      now_(start.now),
      next_sequence_(start.next_sequence),
      chain_hash_(start.chain_hash),
      bases_(std::move(bases)),
      emails_([this](const OrganizationId& organization, std::string_view email) {
        return holder_before(organization, email);
      }) {}

void BatchDecider::decide(const Submission& submission) {
  std::optional<Outcome> earlier;
  Decision decision = NothingToDo{};
  // What it is about can't be read, such as a damaged row: that is nothing to the others.
  const auto not_taken = [&](const std::exception& problem) {
    spdlog::error("partition {}: a command can't be decided: {}", partition_, problem.what());
    earlier = Outcome{NotTaken{}};
  };
  try {
    earlier = earlier_answer(submission);
    if (!earlier) {
      decision = std::visit([&](const auto& command) { return decide_on(submission, command); },
                            submission.command);
    }
  } catch (const StoreUnavailable& problem) {
    not_taken(problem);
  } catch (const projections::CorruptRecord& problem) {
    not_taken(problem);
  }
  if (earlier) {
    settled_.push_back({std::move(earlier)});
    return;
  }
  settled_.push_back(settle(submission, std::move(decision)));
}

void BatchDecider::seal() {
  canonical_.reserve(events_.size());
  for (RecordedEvent& event : events_) {
    canonical_.push_back(projections::canonical_bytes(event));
    chain_hash_ = projections::chain_hash(chain_hash_, canonical_.back());
    event.chain_hash = chain_hash_;
  }
  bases_.clear();
}

std::optional<Outcome> BatchDecider::earlier_answer(const Submission& submission) const {
  if (!submission.idempotency) return std::nullopt;
  auto record = store_.idempotency(partition_, submission.idempotency->key, now_);
  if (!record) return std::nullopt;
  if (record->request != submission.idempotency->request) return Outcome{IdempotencyKeyReused{}};
  return std::visit([](auto& answer) { return Outcome{std::move(answer), true}; }, record->answer);
}

Decision BatchDecider::decide_on(const Submission& submission, const CreateContact& command) {
  return domain::decide(command, pending(submission.organization, command.id).contact(),
                        holder_of(submission, command.values));
}

Decision BatchDecider::decide_on(const Submission& submission, const UpdateContact& command) {
  return domain::decide(command, pending(submission.organization, command.id).contact(),
                        holder_of(submission, command.patch));
}

Decision BatchDecider::decide_on(const Submission& submission, const DeleteContact& command) {
  return domain::decide(command, pending(submission.organization, command.id).contact(), {});
}

Decision BatchDecider::decide_on(const Submission& submission, const RevertContact& command) {
  return domain::decide(command, pending(submission.organization, command.id).contact(),
                        command.past ? holder_of(submission, *command.past) : std::nullopt);
}

Decision BatchDecider::decide_on(const Submission&, const CreateApiKey& command) {
  return domain::decide(command);
}

Decision BatchDecider::decide_on(const Submission&, const RotateApiKey& command) {
  return domain::decide(command, api_key(command.old));
}

Decision BatchDecider::decide_on(const Submission&, const RevokeApiKey& command) {
  return domain::decide(command, api_key(command.key));
}

Decision BatchDecider::decide_on(const Submission& submission, const CreateWebhook& command) {
  return domain::decide(command, count_webhooks(submission.organization));
}

template <class WebhookCommand>
Decision BatchDecider::decide_on(const Submission& submission, const WebhookCommand& command) {
  return domain::decide(command, webhook(submission.organization, command.webhook));
}

BatchDecider::Settled BatchDecider::settle(const Submission& submission, Decision decision) {
  if (auto* event = std::get_if<Event>(&decision)) return accept(submission, std::move(*event));
  if (auto* no = std::get_if<Rejection>(&decision)) return reject(submission, std::move(*no));
  return nothing_to_do(submission);
}

BatchDecider::Settled BatchDecider::accept(const Submission& submission, Event event) {
  const bool created = std::holds_alternative<ContactCreated>(event);
  record(submission, std::move(event));
  note(submission, events_.back());
  const Event& fact = events_.back().event;
  if (const auto* deleted = std::get_if<ContactDeleted>(&fact)) {
    return {Outcome{DeletedAnswer{deleted->contact}}};
  }
  if (const auto* key = std::get_if<ApiKeyCreated>(&fact)) {
    return {Outcome{ApiKeyCreatedAnswer{key_made_by(*key, submission.organization, now_)}}};
  }
  if (const auto* key = std::get_if<ApiKeyRevoked>(&fact)) {
    return {Outcome{ApiKeyRevokedAnswer{key->key}}};
  }
  if (const auto* id = webhook_of(fact)) {
    return {webhook_outcome(submission.organization, *id)};
  }
  return {std::nullopt, last_event(), created};
}

BatchDecider::Settled BatchDecider::nothing_to_do(const Submission& submission) {
  const ContactId* contact = contact_of(submission.command);
  if (contact == nullptr) return {other_outcome(submission)};
  if (submission.idempotency) {
    record(submission, RequestAnswered{*contact});
    return {std::nullopt, last_event(), false};
  }
  const Pending& known = pending(submission.organization, *contact);
  if (known.source.results != nullptr) return {std::nullopt, known.source, false};
  return {contact_outcome(*known.confirmed, false)};
}

// Of a command about no contact that had nothing to do.
Outcome BatchDecider::other_outcome(const Submission& submission) const {
  return std::visit(
      [&](const auto& command) -> Outcome {
        if constexpr (requires { command.webhook; }) {
          return webhook_outcome(submission.organization, command.webhook);
        } else if constexpr (requires { command.key; }) {
          return {ApiKeyRevokedAnswer{command.key}};
        } else {
          std::abort();
        }
      },
      submission.command);
}

Outcome BatchDecider::webhook_outcome(const OrganizationId& organization,
                                      const WebhookId& id) const {
  auto known = webhook(organization, id);
  if (!known) return {WebhookDeletedAnswer{id}};
  return {WebhookAnswer{*std::move(known)}};
}

BatchDecider::Settled BatchDecider::reject(const Submission& submission, Rejection rejection) {
  if (submission.idempotency) record(submission, RequestAnswered{rejection});
  return {Outcome{std::move(rejection)}};
}

void BatchDecider::record(const Submission& submission, Event event) {
  events_.push_back({new_event_id(now_), now_, submission.organization, submission.actor,
                     submission.request_id, submission.idempotency,
                     Stamp{claim_.epoch, next_sequence_++}, std::move(event)});
}

void BatchDecider::note(const Submission& submission, const RecordedEvent& event) {
  const ContactId* contact = contact_of(submission.command);
  if (contact == nullptr) {
    const WebhookId* id = webhook_of(event.event);
    if (id == nullptr) return note_key(submission.organization, event.event);
    // What begins at the offset isn't known yet, and no rule asks for it.
    auto after = evolve(webhook(submission.organization, *id), event, 0);
    webhooks_[projections::keys::webhook(submission.organization, *id)] = std::move(after);
    return;
  }
  Pending& entry = pending(submission.organization, *contact);
  emails_.apply(submission.organization, entry.contact(), event.event);
  entry.unapplied = events_.size() - 1;
  entry.source = last_event();
}

void BatchDecider::note_key(const OrganizationId& organization, const Event& fact) {
  if (const auto* created = std::get_if<ApiKeyCreated>(&fact)) {
    api_keys_[created->key] = key_made_by(*created, organization, now_);
    if (!created->replaces) return;
    if (const auto old = api_key(created->replaces->key)) {
      api_keys_[old->id] = evolve(*old, *created->replaces);
    }
  } else if (const auto* revoked = std::get_if<ApiKeyRevoked>(&fact)) {
    if (const auto key = api_key(revoked->key)) api_keys_[key->id] = evolve(*key, *revoked, now_);
  }
}

const Contact* BatchDecider::Pending::contact() const {
  if (decided) return std::get_if<Contact>(&*decided);
  return confirmed == nullptr ? nullptr : &confirmed->contact;
}

void BatchDecider::Pending::apply(const RecordedEvent& event) {
  if (!decided) decided = confirmed == nullptr ? ContactState{} : ContactState{confirmed->contact};
  std::visit(
      [&](const auto& fact) {
        if constexpr (requires { domain::evolve(*decided, fact, event.time); }) {
          decided = domain::evolve(*std::move(decided), fact, event.time);
        }
      },
      event.event);
  unapplied.reset();
}

std::optional<Webhook> BatchDecider::webhook(const OrganizationId& organization,
                                             const WebhookId& id) const {
  const std::string key = projections::keys::webhook(organization, id);
  if (const auto own = webhooks_.find(key); own != webhooks_.end()) return own->second;
  for (const auto& base : bases_) {
    const auto found = base->webhooks_.find(key);
    if (found != base->webhooks_.end()) return found->second;
  }
  return store_.webhook(organization, id);
}

std::optional<ApiKey> BatchDecider::api_key(const KeyId& id) const {
  if (const auto own = api_keys_.find(id); own != api_keys_.end()) return own->second;
  for (const auto& base : bases_) {
    const auto found = base->api_keys_.find(id);
    if (found != base->api_keys_.end()) return found->second;
  }
  return store_.api_key(id);
}

std::size_t BatchDecider::count_webhooks(const OrganizationId& organization) const {
  std::map<std::string, bool> there;
  for (const Webhook& known : store_.webhooks(organization)) {
    there[projections::keys::webhook(organization, known.id)] = true;
  }
  const std::string prefix = projections::keys::organization(organization);
  const auto add = [&](const auto& touched) {
    for (auto at = touched.lower_bound(prefix);
         at != touched.end() && at->first.starts_with(prefix); ++at) {
      there[at->first] = at->second.has_value();
    }
  };
  for (auto base = bases_.rbegin(); base != bases_.rend(); ++base) add((*base)->webhooks_);
  add(webhooks_);
  return static_cast<std::size_t>(
      std::count_if(there.begin(), there.end(), [](const auto& one) { return one.second; }));
}

std::optional<ContactId> BatchDecider::holder_of(const Submission& submission,
                                                 const ContactPatch& patch) const {
  const auto email = email_set_by(patch);
  if (!email) return std::nullopt;
  return emails_.holder(submission.organization, *email);
}

std::optional<ContactId> BatchDecider::holder_before(const OrganizationId& organization,
                                                     std::string_view email) const {
  for (const auto& base : bases_) {
    if (const auto* known = base->emails_.pending(organization, email)) return *known;
  }
  return store_.email_holder(organization, email);
}

BatchDecider::Pending& BatchDecider::pending(const OrganizationId& organization,
                                             const ContactId& contact) {
  std::string key = projections::keys::contact(organization, contact);
  const auto found = contacts_.find(key);
  if (found != contacts_.end()) {
    Pending& known = found->second;
    if (known.unapplied) known.apply(events_[*known.unapplied]);
    return known;
  }
  Pending entry = before(key, organization, contact);
  return contacts_.emplace(std::move(key), std::move(entry)).first->second;
}

BatchDecider::Pending BatchDecider::before(const std::string& key,
                                           const OrganizationId& organization,
                                           const ContactId& contact) const {
  for (const auto& base : bases_) {
    const auto found = base->contacts_.find(key);
    if (found == base->contacts_.end()) continue;
    Pending entry = found->second;
    if (entry.unapplied) entry.apply(base->events_[*entry.unapplied]);
    return entry;
  }
  return {confirmed_.contact(organization, contact), {}, {}, {}};
}

void BatchDecider::confirm(const projections::FoldBatch::Result& result) {
  results_->push_back(result);
}

std::vector<Outcome> BatchDecider::outcomes() const {
  assert(results_->size() == events_.size());
  std::vector<Outcome> all;
  all.reserve(settled_.size());
  for (const Settled& settled : settled_) all.push_back(outcome_of(settled));
  return all;
}

Outcome BatchDecider::outcome_of(const Settled& settled) const {
  if (settled.outcome) return *settled.outcome;
  return contact_outcome(*(*settled.source.results)[settled.source.index].contact, settled.created);
}

}  // namespace contactd::infra
