#include "domain/contact/decide.hpp"

#include <algorithm>

namespace contactd::domain {
namespace {

FieldView wanted(const FieldPatch& patch) {
  if (const auto* value = std::get_if<FieldValue>(&patch.to)) return *value;
  return unset_value(patch.field);
}

// What `patch` changes in `values`, in the order of the field table.
std::vector<FieldChange> changes_of(const ContactPatch& patch, const FieldValues& values) {
  std::vector<FieldChange> changes;
  changes.reserve(patch.size());
  for (const FieldPatch& entry : patch) {
    const FieldView after = wanted(entry);
    const FieldView before = values[entry.field];
    if (before != after) changes.push_back({entry.field, before, after});
  }
  std::sort(changes.begin(), changes.end(),
            [](const FieldChange& a, const FieldChange& b) { return a.field < b.field; });
  return changes;
}

std::optional<Rejection> mismatch(const AnyVersion&, const Contact&) { return std::nullopt; }

std::optional<Rejection> mismatch(const OneOf& expected, const Contact& contact) {
  const auto& versions = expected.versions;
  if (std::find(versions.begin(), versions.end(), contact.version) != versions.end()) {
    return std::nullopt;
  }
  const auto newest = std::max_element(versions.begin(), versions.end());
  const Version since = newest == versions.end() ? 0 : *newest;
  VersionMismatch found{contact.version, {}};
  for (const FieldSpec& spec : field_table) {
    if (contact.changed_in[index_of(spec.field)] > since) found.changed.push_back(spec.field);
  }
  return found;
}

void apply(Contact& contact, const std::vector<FieldChange>& changes) {
  for (const FieldChange& change : changes) {
    contact.values.set(change.field, change.after);
    contact.changed_in[index_of(change.field)] = contact.version;
  }
}

}  // namespace

std::optional<Rejection> refusal(const Precondition& if_match, const Contact& contact) {
  return std::visit([&](const auto& expected) { return mismatch(expected, contact); }, if_match);
}

Decision decide(const CreateContact& command, const Contact*,
                const std::optional<ContactId>& email_holder) {
  if (email_holder) return Rejection{EmailTaken{*email_holder}};
  ContactPatch values = command.values;
  const bool has_status = std::any_of(values.begin(), values.end(), [](const FieldPatch& entry) {
    return entry.field == Field::status;
  });
  if (!has_status) values.push_back({Field::status, FieldValue::text(status_active)});
  return Event{ContactCreated{command.id, changes_of(values, FieldValues{})}};
}

Decision decide(const UpdateContact& command, const Contact* contact,
                const std::optional<ContactId>& email_holder) {
  if (contact == nullptr) return Rejection{ContactNotFound{}};
  if (auto refused = refusal(command.if_match, *contact)) return *std::move(refused);
  if (email_holder && *email_holder != command.id) return Rejection{EmailTaken{*email_holder}};
  auto changes = changes_of(command.patch, contact->values);
  if (changes.empty()) return NothingToDo{};
  return Event{ContactUpdated{command.id, contact->version + 1, std::move(changes)}};
}

Decision decide(const DeleteContact& command, const Contact* contact,
                const std::optional<ContactId>&) {
  if (contact == nullptr) return Rejection{ContactNotFound{}};
  if (auto refused = refusal(command.if_match, *contact)) return *std::move(refused);
  return Event{ContactDeleted{command.id, contact->version + 1}};
}

Decision decide(const RevertContact& command, const Contact* contact,
                const std::optional<ContactId>& email_holder) {
  if (contact == nullptr) return Rejection{ContactNotFound{}};
  if (auto refused = refusal(command.if_match, *contact)) return *std::move(refused);
  if (!command.past) return Rejection{VersionNotFound{command.version}};
  return decide(UpdateContact{command.id, *command.past, AnyVersion{}}, contact, email_holder);
}

ContactPatch patch_to(const Contact& contact) {
  ContactPatch patch;
  patch.reserve(field_count);
  for (const FieldSpec& spec : field_table) patch.push_back({spec.field, contact[spec.field]});
  return patch;
}

std::optional<std::string_view> email_set_by(const ContactPatch& patch) {
  for (const FieldPatch& entry : patch) {
    const auto* value = std::get_if<FieldValue>(&entry.to);
    if (entry.field == Field::email && value != nullptr && !value->is_null()) {
      return value->unquoted();
    }
  }
  return std::nullopt;
}

ContactState evolve(ContactState, const ContactCreated& event, Instant at) {
  Contact contact{event.contact, 1, at, at, {}, {}};
  apply(contact, event.changes);
  return contact;
}

ContactState evolve(ContactState state, const ContactUpdated& event, Instant at) {
  auto* contact = std::get_if<Contact>(&state);
  if (contact == nullptr) return state;
  contact->version = event.version;
  contact->updated_at = std::max(contact->updated_at, at);
  apply(*contact, event.changes);
  return state;
}

ContactState evolve(ContactState, const ContactDeleted&, Instant) { return Absent{}; }

}  // namespace contactd::domain
