#pragma once

#include <optional>
#include <variant>

#include "domain/commands.hpp"
#include "domain/contact/contact.hpp"
#include "domain/events.hpp"
#include "domain/rejection.hpp"

namespace contactd::domain {

// The command asks for what already is: a 200 with no event.
struct NothingToDo {
  auto operator<=>(const NothingToDo&) const = default;
};

// A command is one event, nothing, or a refusal; never two events, never half of one.
using Decision = std::variant<Event, NothingToDo, Rejection>;

// The rules of contacts. Pure and total: the same arguments, the same decision.
// `email_holder` is the contact of the organization that has the email which the command names,
// if it names one and somebody has it. Refusals in order: not found, If-Match, a version that never
// was, email.
// `contact` is null where it is Absent.
Decision decide(const CreateContact& command, const Contact* contact,
                const std::optional<ContactId>& email_holder);
Decision decide(const UpdateContact& command, const Contact* contact,
                const std::optional<ContactId>& email_holder);
Decision decide(const DeleteContact& command, const Contact* contact,
                const std::optional<ContactId>& email_holder);

// Decides as the update that sets every field to what it was.
Decision decide(const RevertContact& command, const Contact* contact,
                const std::optional<ContactId>& email_holder);

// The same for a state.
template <class Command>
  requires requires(const Command& command) { command.id; }
Decision decide(const Command& command, const ContactState& state,
                const std::optional<ContactId>& email_holder) {
  return decide(command, std::get_if<Contact>(&state), email_holder);
}

// Why `if_match` doesn't hold for the contact: a VersionMismatch; nothing where it does.
std::optional<Rejection> refusal(const Precondition& if_match, const Contact& contact);

// What makes a contact's values those of `contact`: an entry a field.
ContactPatch patch_to(const Contact& contact);

// The email that `patch` sets, if it sets one.
std::optional<std::string_view> email_set_by(const ContactPatch& patch);

// The state after an event. Total: an event that decide() could not have produced for this state
// changes what it names all the same; whether it may be applied is the projector's question.
ContactState evolve(ContactState state, const ContactCreated& event, Instant at);
ContactState evolve(ContactState state, const ContactUpdated& event, Instant at);
ContactState evolve(ContactState state, const ContactDeleted& event, Instant at);

}  // namespace contactd::domain
