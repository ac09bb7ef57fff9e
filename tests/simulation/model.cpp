#include "tests/simulation/model.hpp"

#include <algorithm>
#include <variant>

#include "domain/contact/contact.hpp"
#include "projections/contact_view.hpp"
#include "projections/key_layout.hpp"

namespace contactd::test {
namespace {

using namespace contactd::domain;
using projections::Table;

constexpr std::size_t slice_records_max = 1000;
constexpr std::size_t complaints_max = 20;

std::string at(const RecordedEvent& event) {
  return "request " + event.request_id + " (" + std::to_string(event.stamp.claim) + '/' +
         std::to_string(event.stamp.sequence) + ")";
}

std::string value_in(const NaiveModel::Contact& contact, Field field) {
  const auto found = contact.values.find(field);
  return found == contact.values.end() ? std::string{unset_value(field).json()} : found->second;
}

std::string version_text(std::uint64_t version) { return "version " + std::to_string(version); }

}  // namespace

void NaiveModel::add_all(infra::EventLog& log) {
  for (;;) {
    const auto slice = log.read(0, next_offset_, slice_records_max);
    if (slice.entries.empty()) return;
    for (const auto& entry : slice.entries) add(entry);
    next_offset_ = slice.next_offset;
  }
}

void NaiveModel::add(const infra::LogEntry& entry) {
  next_offset_ = entry.offset + 1;
  const auto* event = std::get_if<RecordedEvent>(&entry.record);
  if (event == nullptr) return complain("offset " + std::to_string(entry.offset) + " is no event");
  if (std::holds_alternative<WriterClaimed>(event->event)) {
    claim_ = entry.offset;
    next_sequence_ = 1;
    return;
  }
  if (event->stamp.claim != claim_ || event->stamp.sequence != next_sequence_) {
    ++passed_over_;
    return;
  }
  ++next_sequence_;
  if (event->time.unix_ms < last_time_ms_) complain(at(*event) + ": the time went back");
  last_time_ms_ = event->time.unix_ms;
  apply(*event);
}

void NaiveModel::apply(const RecordedEvent& event) {
  std::uint64_t version = 0;
  if (const auto* created = std::get_if<ContactCreated>(&event.event)) {
    if (contacts_.contains({event.organization.str(), created->contact.str()})) {
      complain(at(event) + " creates a contact that there is");
    }
    change(event, created->contact, version = 1, created->changes);
  } else if (const auto* updated = std::get_if<ContactUpdated>(&event.event)) {
    change(event, updated->contact, version = updated->version, updated->changes);
  } else if (const auto* deleted = std::get_if<ContactDeleted>(&event.event)) {
    remove(event, *deleted);
  } else if (const auto* answered = std::get_if<RequestAnswered>(&event.event)) {
    if (const auto* id = std::get_if<ContactId>(&answered->answer)) {
      const auto found = contacts_.find({event.organization.str(), id->str()});
      if (found == contacts_.end()) return complain(at(event) + " was about no contact");
      version = found->second.version;
    }
  }
  if (!applied_.try_emplace(event.request_id, Applied{event.event, version}).second) {
    complain(at(event) + " was applied twice");
  }
}

void NaiveModel::change(const RecordedEvent& event, const ContactId& id, std::uint64_t version,
                        const std::vector<FieldChange>& changes) {
  const std::string& organization = event.organization.str();
  Contact& contact = contacts_[{organization, id.str()}];
  if (version != contact.version + 1) {
    complain(at(event) + " makes " + version_text(version) + " of " +
             version_text(contact.version));
  }
  contact.version = version;
  for (const FieldChange& one : changes) {
    if (value_in(contact, one.field) != one.before.json()) {
      complain(at(event) + " changes a value that wasn't there");
    }
    contact.values[one.field] = one.after.json();
    if (one.field != Field::email) continue;
    if (!one.before.is_null()) emails_.erase({organization, one.before.json()});
    if (one.after.is_null()) continue;
    const auto [holder, free] = emails_.try_emplace({organization, one.after.json()}, id.str());
    if (!free) complain(at(event) + " takes the email of " + holder->second);
  }
}

void NaiveModel::remove(const RecordedEvent& event, const ContactDeleted& fact) {
  const std::string& organization = event.organization.str();
  const auto found = contacts_.find({organization, fact.contact.str()});
  if (found == contacts_.end()) return complain(at(event) + " deletes what isn't there");
  if (fact.version != found->second.version + 1) complain(at(event) + " has the wrong version");
  emails_.erase({organization, value_in(found->second, Field::email)});
  contacts_.erase(found);
}

void NaiveModel::compare_with(const infra::ReadStore& store) {
  for (const auto& [key, contact] : contacts_) {
    const auto row =
        store.contact_row(*OrganizationId::parse(key.first), *ContactId::parse(key.second));
    if (!row) {
      complain(key.second + " isn't in the store");
      continue;
    }
    const auto document = projections::read_document(*row);
    std::string expected = R"({"id":")" + key.second + '"';
    for (const FieldSpec& spec : field_table) {
      expected += ",\"" + std::string{spec.name} + "\":" + value_in(contact, spec.field);
    }
    if (document.version != contact.version ||
        !document.json.starts_with(expected + R"(,"created_at":)")) {
      complain(key.second + " is in the store as " + version_text(document.version) + ' ' +
               std::string{document.json} + ", should be " + version_text(contact.version) + ' ' +
               expected);
    }
  }
  std::size_t contacts = 0;
  std::size_t emails = 0;
  store.visit_all([&](Table table, std::string_view, std::string_view) {
    if (table == Table::contacts) ++contacts;
    if (table == Table::emails) ++emails;
  });
  if (contacts != contacts_.size()) complain("the store has contacts that there aren't");
  if (emails != emails_.size()) complain("the store's emails aren't those of its contacts");
  for (const auto& [key, id] : emails_) {
    const auto holder = store.email_holder(*OrganizationId::parse(key.first),
                                           key.second.substr(1, key.second.size() - 2));
    if (!holder || holder->str() != id) complain("the store has another holder of an email");
  }
}

void NaiveModel::expect_told(const std::string& request_id, const infra::Outcome& outcome) {
  if (std::holds_alternative<infra::OutcomeUnknown>(outcome.answer)) return;
  const auto found = applied_.find(request_id);
  if (std::holds_alternative<infra::NotTaken>(outcome.answer)) {
    if (found != applied_.end()) complain(request_id + " was not taken, and is in the log");
    return;
  }
  if (found == applied_.end()) {
    ++lost_;
    if (wrong_.size() < complaints_max) complain(request_id + " was answered and isn't in the log");
    return;
  }
  if (const auto problem = difference(found->second, outcome)) {
    complain(request_id + " was told what isn't so: " + *problem);
  }
}

std::optional<std::string> NaiveModel::difference(const Applied& applied,
                                                  const infra::Outcome& outcome) {
  const auto* answered = std::get_if<RequestAnswered>(&applied.event);
  if (const auto* contact = std::get_if<projections::ContactAnswer>(&outcome.answer)) {
    if (contact->version != applied.version || applied.version == 0) {
      return version_text(contact->version) + ", it is " + version_text(applied.version);
    }
    if (contact->created != std::holds_alternative<ContactCreated>(applied.event)) {
      return "whether it was created";
    }
    return std::nullopt;
  }
  if (std::holds_alternative<projections::DeletedAnswer>(outcome.answer)) {
    if (std::holds_alternative<ContactDeleted>(applied.event)) return std::nullopt;
    return "a deletion";
  }
  const auto* rejection = std::get_if<Rejection>(&outcome.answer);
  if (rejection == nullptr) return "an answer of kind " + std::to_string(outcome.answer.index());
  if (answered != nullptr && std::holds_alternative<Rejection>(answered->answer) &&
      std::get<Rejection>(answered->answer) == *rejection) {
    return std::nullopt;
  }
  return "a refusal";
}

}  // namespace contactd::test
