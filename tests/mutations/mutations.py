"""Bugs to be seeded: each replaces one piece of a source, which must be there exactly once."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    name: str
    what: str  # is broken by it
    path: str
    old: str
    new: str


MUTATIONS = [
    Mutation("drop-the-fsync", "a batch is answered before the disk has it",
             "infra/embedded_event_log.cpp",
             "options.sync = true;", "options.sync = false;"),
    Mutation("skip-the-sequence-check", "repeated and reordered events are applied",
             "projections/checkpoint.cpp",
             "if (event.stamp.sequence != checkpoint.next_sequence) "
             "return Admission::out_of_sequence;", ""),
    Mutation("skip-the-claim-check", "events of a fenced writer are applied",
             "projections/checkpoint.cpp",
             "checkpoint.next_sequence == 0 || event.stamp.claim != checkpoint.claim",
             "checkpoint.next_sequence == 0"),
    Mutation("answer-before-read-back", "a batch is answered before all of it was folded",
             "infra/writer_folding.cpp",
             "return confirmed == decider->events().size();",
             "return confirmed + 1 >= decider->events().size();"),
    Mutation("index-outside-the-batch", "tables get to the disk one by one",
             "infra/sorted_files.cpp",
             "require_ok(db_->IngestExternalFiles(files));",
             "for (const auto& file : files) require_ok(db_->IngestExternalFiles({file}));"),
    Mutation("checkpoint-outside-the-batch", "the checkpoint isn't stored with what was folded",
             "projections/fold.cpp",
             "sink_.put(Table::meta, keys::checkpoint(partition_), encode(checkpoint_));", ""),
    Mutation("email-kept-by-a-change", "an address that was given up stays taken",
             "projections/fold.cpp",
             "sink_.remove(Table::emails, keys::email(organization, from.unquoted()));", ""),
    Mutation("email-not-unique", "an update may take another contact's address",
             "domain/contact/decide.cpp",
             "if (email_holder && *email_holder != command.id) "
             "return Rejection{EmailTaken{*email_holder}};", ""),
    Mutation("email-not-unique-in-a-batch", "addresses taken by the same batch are not seen",
             "infra/batch_decider.cpp",
             "emails_.apply(submission.organization, entry.contact(), event.event);", ""),
    Mutation("if-match-ignored", "a conditional change is applied to another version",
             "domain/contact/decide.cpp",
             "if (std::find(versions.begin(), versions.end(), contact.version) != "
             "versions.end()) {",
             "if (!versions.empty()) {"),
    Mutation("idempotency-forgotten", "a repeated request is applied again",
             "infra/batch_decider.cpp",
             "if (!submission.idempotency) return std::nullopt;", "return std::nullopt;"),
    Mutation("idempotency-key-reused", "another request under the same key isn't refused",
             "infra/batch_decider.cpp",
             "if (record->request != submission.idempotency->request) "
             "return Outcome{IdempotencyKeyReused{}};", ""),
    Mutation("batches-in-flight-ignored", "a batch is decided on what is already out of date",
             "infra/batch_decider.cpp",
             "for (const auto& base : bases_) {\n    const auto found = base->contacts_",
             "for (const auto& base : Bases{}) {\n    const auto found = base->contacts_"),
    Mutation("go-on-after-unknown", "the claim is kept although a batch's fate is unknown",
             "infra/writer.cpp",
             'throw LogUnavailable("the fate of a batch is unknown");', "return;"),
    Mutation("unknown-told-as-not-taken", "a change that may be in the log is said not to be",
             "infra/writer.cpp",
             "take_back(*decider, Outcome{OutcomeUnknown{}});",
             "take_back(*decider, Outcome{NotTaken{}});"),
    Mutation("decide-before-the-claim-is-folded", "a writer decides on an old state",
             "infra/writer.cpp",
             "  wait_until_claim_is_folded(stop);\n",
             "  mutex_.lock();\n  folded_.claim = claim.epoch;\n  mutex_.unlock();\n"),
    Mutation("time-goes-back", "a later event is earlier than its forerunner",
             "infra/writer.cpp",
             "last_time_ = std::max(clock_(), last_time_);", "last_time_ = clock_();"),
    Mutation("stale-contact-remembered", "a contact is decided on as it was before its last change",
             "infra/projector.cpp",
             "if (result.admission == Admission::current) "
             "confirmed_.remember(*event, result.contact);", "static_cast<void>(result);"),
    Mutation("fenced-writer-appends", "a claim that was lost is good for an append",
             "infra/embedded_event_log.cpp",
             "if (claim.epoch != claimed_) return AppendResult::fenced;", ""),
    Mutation("failed-write-is-committed", "a batch that the disk refused is said to be in the log",
             "infra/embedded_event_log.cpp",
             "if (write(batch, canonical).ok()) return AppendResult::committed;",
             "write(batch, canonical).PermitUncheckedError();\n"
             "    return AppendResult::committed;"),
    Mutation("unreadable-record-skipped", "the fold passes over what it can't read",
             "infra/projector.cpp",
             "if (const auto* unreadable = std::get_if<UnreadableRecord>(&entry.record)) {",
             "if (const auto* unreadable = std::get_if<UnreadableRecord>(&entry.record)) {\n"
             "      fold.skip(entry.offset);\n      continue;"),
    Mutation("frozen-rows-unseen", "rows that are being written out are not there for readers",
             "infra/generations.cpp",
             "if (row == nullptr && frozen_ != nullptr) row = frozen_->find(table, key);", ""),
    Mutation("list-past-what-was-copied", "a list shows rows of the disk that memory has replaced",
             "infra/rocksdb_list.cpp",
             "now.overlay.cut ? *now.overlay.cut : end;", "end;"),
    Mutation("lost-log-accepted", "a log that lacks what was folded is written on",
             "infra/writer.cpp",
             "if (log_end >= folded) return;", "return;"),
    Mutation("damage-before-the-end-accepted", "records behind a damaged one of the log are lost",
             "infra/wal_check.cpp",
             "if (offset > next_) gaps_.push_back(", "if (false) gaps_.push_back("),
    Mutation("old-wal-read-on", "what a WAL was written over is taken for a part of it",
             "infra/wal_format.cpp",
             "wal_number_at<std::uint32_t>(block, wal_number_at_byte) != wal_number", "false"),
]
