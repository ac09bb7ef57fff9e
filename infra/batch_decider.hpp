#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "domain/organization/email_registry.hpp"
#include "infra/writer.hpp"

namespace contactd::infra {

// Decides the commands of one batch, one after the other, each on the confirmed state plus what
// the batch has decided before it; and, once the batch has been folded, says what each is told.
// Threads: the writer's. Lives for one batch.
class BatchDecider {
 public:
  BatchDecider(std::uint32_t partition, const Claim& claim, const Projector& projector,
               const ReadStore& store, const Clock& clock);

  void decide(const Submission& submission);

  // What is to be appended; numbered on from the checkpoint.
  const std::vector<domain::RecordedEvent>& events() const { return events_; }

  // To be called for each event of events(), in order, with what its fold gave.
  void confirm(const projections::FoldBatch::Result& result);

  // The outcome of each command, in order. REQUIRES: every event was confirmed.
  std::vector<Outcome> outcomes() const;

 private:
  static constexpr std::size_t no_event = static_cast<std::size_t>(-1);

  // A contact as the batch has left it so far.
  struct Pending {
    domain::ContactState state;
    std::size_t event = no_event;  // the last one of the batch that touched it
  };
  // What a command's answer rests on.
  struct Settled {
    std::optional<Outcome> outcome;  // known already, once the batch is confirmed
    std::size_t event = no_event;    // else: tell what this event of the batch did
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
  domain::Decision decide_on(const Submission& submission, const domain::CreateApiKey& command);
  domain::Decision decide_on(const Submission& submission, const domain::RevokeApiKey& command);

  std::optional<domain::ContactId> holder_of(const Submission& submission,
                                             const domain::ContactPatch& patch) const;
  Pending& pending(const domain::OrganizationId& organization, const domain::ContactId& contact);
  void evolve(const Submission& submission, const domain::RecordedEvent& event, std::size_t index);
  void record(const Submission& submission, domain::Event event);

  const std::uint32_t partition_;
  const Claim claim_;
  const projections::StateReader& confirmed_;
  const ReadStore& store_;
  const domain::Instant now_;
  std::uint64_t next_sequence_;

  domain::EmailRegistry emails_;
  std::unordered_map<std::string, Pending> contacts_;
  std::vector<domain::RecordedEvent> events_;
  std::vector<projections::FoldBatch::Result> results_;
  std::vector<Settled> settled_;
};

}  // namespace contactd::infra
