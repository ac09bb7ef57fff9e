#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "domain/organization/email_registry.hpp"
#include "infra/writer.hpp"

namespace contactd::infra {

// Decides the commands of one batch, one after the other, each on the confirmed state plus what
// was decided before it, in this batch and in those that are in flight; and, once the batch has
// been folded, says what each is told.
//
// Threads: decide() and seal() on the writer's. After seal(), confirm() and outcomes() on that
// which folds, while the next batches' deciders look into this one.
class BatchDecider {
 public:
  // The batches before this one that may not have been folded yet, the newest first. One that has
  // been folded meanwhile does no harm: it says what the confirmed state says.
  using Bases = std::vector<std::shared_ptr<const BatchDecider>>;

  struct Start {
    domain::Instant now;              // the time of all its events; not before an earlier batch's
    std::uint64_t next_sequence = 1;  // of its first event
    domain::Digest chain_hash{};      // of the event before it
  };

  BatchDecider(std::uint32_t partition, const Claim& claim, Start start,
               const projections::StateReader& confirmed, const ReadStore& store, Bases bases);
  BatchDecider(const BatchDecider&) = delete;  // its email registry refers to it
  BatchDecider& operator=(const BatchDecider&) = delete;

  // A command about what the store can't read is not taken; the others of the batch are decided.
  void decide(const Submission& submission);
  // Nothing more is decided: chains the events, and lets the earlier batches go.
  void seal();

  // What is to be appended.
  const std::vector<domain::RecordedEvent>& events() const { return events_; }
  // The canonical bytes of each. REQUIRES: sealed.
  const std::vector<std::string>& canonical() const { return canonical_; }
  std::uint64_t next_sequence() const { return next_sequence_; }
  // Of the last event. REQUIRES: sealed.
  const domain::Digest& chain_hash() const { return chain_hash_; }

  // To be called for each event of events(), in order, with what its fold gave.
  void confirm(const projections::FoldBatch::Result& result);

  // The outcome of each command, in order. REQUIRES: every event of this batch and of those before
  // it was confirmed.
  std::vector<Outcome> outcomes() const;

 private:
  using Results = std::vector<projections::FoldBatch::Result>;

  // An event that isn't folded yet: one of the batch whose results these will be.
  struct Source {
    std::shared_ptr<const Results> results;  // null: no such event
    std::size_t index = 0;
  };
  // A contact as what was decided so far has left it. Most are touched by one command of a batch
  // alone: the confirmed one is shared, not copied, and the last event is applied when it is asked
  // for.
  struct Pending {
    std::shared_ptr<const projections::ContactView> confirmed;  // null: there is none
    std::optional<domain::ContactState> decided;                // else `confirmed` holds
    std::optional<std::size_t> unapplied;  // the number of an event still to be applied
    Source source = {};  // the last event that touched it; none if all were confirmed before

    const domain::Contact* contact() const;
    void apply(const domain::RecordedEvent& event);
  };
  // What a command's answer rests on.
  struct Settled {
    std::optional<Outcome> outcome;  // known already, once the batch is confirmed
    Source source = {};              // else: tell what this event did
    bool created = false;
  };

  std::optional<Outcome> earlier_answer(const Submission& submission) const;
  Settled settle(const Submission& submission, domain::Decision decision);
  Settled accept(const Submission& submission, domain::Event event);
  Settled nothing_to_do(const Submission& submission);
  Settled reject(const Submission& submission, domain::Rejection rejection);
  Outcome outcome_of(const Settled& settled) const;

  domain::Decision decide_on(const Submission& submission, const domain::CreateContact& command);
  domain::Decision decide_on(const Submission& submission, const domain::UpdateContact& command);
  domain::Decision decide_on(const Submission& submission, const domain::DeleteContact& command);
  domain::Decision decide_on(const Submission& submission, const domain::RevertContact& command);
  domain::Decision decide_on(const Submission& submission, const domain::CreateApiKey& command);
  domain::Decision decide_on(const Submission& submission, const domain::RotateApiKey& command);
  domain::Decision decide_on(const Submission& submission, const domain::RevokeApiKey& command);
  domain::Decision decide_on(const Submission& submission, const domain::CreateWebhook& command);
  // The other commands about webhooks.
  template <class WebhookCommand>
  domain::Decision decide_on(const Submission& submission, const WebhookCommand& command);

  std::optional<domain::ContactId> holder_of(const Submission& submission,
                                             const domain::ContactPatch& patch) const;
  std::optional<domain::ContactId> holder_before(const domain::OrganizationId& organization,
                                                 std::string_view email) const;
  Pending& pending(const domain::OrganizationId& organization, const domain::ContactId& contact);
  Pending before(const std::string& key, const domain::OrganizationId& organization,
                 const domain::ContactId& contact) const;
  void note(const Submission& submission, const domain::RecordedEvent& event);
  void note_key(const domain::OrganizationId& organization, const domain::Event& fact);
  // As what was decided so far has left them.
  std::optional<domain::Webhook> webhook(const domain::OrganizationId& organization,
                                         const domain::WebhookId& id) const;
  std::optional<domain::ApiKey> api_key(const domain::KeyId& id) const;
  std::size_t count_webhooks(const domain::OrganizationId& organization) const;
  Outcome other_outcome(const Submission& submission) const;
  Outcome webhook_outcome(const domain::OrganizationId& organization,
                          const domain::WebhookId& id) const;
  void record(const Submission& submission, domain::Event event);
  Source last_event() const { return {results_, events_.size() - 1}; }

  const std::uint32_t partition_;
  const Claim claim_;
  const projections::StateReader& confirmed_;
  const ReadStore& store_;
  const domain::Instant now_;
  std::uint64_t next_sequence_;
  domain::Digest chain_hash_;
  Bases bases_;

  domain::EmailRegistry emails_;
  std::unordered_map<std::string, Pending> contacts_;
  // Those that the batch has touched, by key; nothing: deleted.
  std::map<std::string, std::optional<domain::Webhook>> webhooks_;
  std::unordered_map<domain::KeyId, domain::ApiKey> api_keys_;
  std::vector<domain::RecordedEvent> events_;
  std::vector<std::string> canonical_;
  // Apart from the rest, so that who waits for one of them doesn't keep all of the batch.
  const std::shared_ptr<Results> results_ = std::make_shared<Results>();
  std::vector<Settled> settled_;
};

}  // namespace contactd::infra
