#include "domain/organization/email_registry.hpp"

#include <gtest/gtest.h>

#include <map>

#include "domain/contact/decide.hpp"
#include "tests/domain/random_commands.hpp"

namespace contactd::domain {
namespace {

using namespace contactd::test;

// A registry over a confirmed base, and the states that the batch's events leave.
class Emails {
 public:
  Emails& confirmed(const std::string& organization, const ContactId& contact,
                    const std::string& email) {
    base_[{organization, email}] = contact;
    states_[contact] = evolve({}, created(contact, email), noon);
    return *this;
  }
  template <class ContactEvent>
  Emails& given(const std::string& organization, const ContactEvent& event) {
    ContactState& state = states_[event.contact];
    registry_.apply(org(organization), std::get_if<Contact>(&state), Event{event});
    state = evolve(std::move(state), event, noon);
    return *this;
  }
  Emails& then(const std::string& organization, const std::string& email,
               std::optional<ContactId> holder) {
    EXPECT_EQ(registry_.holder(org(organization), email), holder) << organization << ' ' << email;
    return *this;
  }

 private:
  std::map<std::pair<std::string, std::string>, ContactId> base_;
  std::map<ContactId, ContactState> states_;
  EmailRegistry registry_{
      [this](const OrganizationId& of, std::string_view email) -> std::optional<ContactId> {
        const auto found = base_.find({of.str(), std::string{email}});
        if (found == base_.end()) return std::nullopt;
        return found->second;
      }};
};

ContactUpdated email_changed(const ContactId& contact, std::string_view from, std::string_view to) {
  return {contact, 2, {change(Field::email, from, to)}};
}

TEST(EmailRegistry, AsksTheConfirmedBase) {
  Emails{}.confirmed("a", ann, "ann@x.io").then("a", "ann@x.io", ann).then("a", "b@x.io", {});
}

TEST(EmailRegistry, HoldsAnAddressFromTheEventOn) {
  Emails{}.given("a", created(ann, "ann@x.io")).then("a", "ann@x.io", ann);
}

TEST(EmailRegistry, KeepsOrganizationsApart) {
  Emails{}
      .given("a", created(ann, "ann@x.io"))
      .then("b", "ann@x.io", {})
      .then("ab", "ann@x.io", {});
}

TEST(EmailRegistry, ReleasesTheOldAddressOfAnUpdate) {
  Emails{}
      .confirmed("a", ann, "ann@x.io")
      .given("a", email_changed(ann, "ann@x.io", "ann@y.io"))
      .then("a", "ann@x.io", {})
      .then("a", "ann@y.io", ann);
}

TEST(EmailRegistry, ReleasesTheAddressOfADeletedContact) {
  Emails{}
      .confirmed("a", ann, "ann@x.io")
      .given("a", ContactDeleted{ann, 2})
      .then("a", "ann@x.io", {});
}

TEST(EmailRegistry, LetsAnotherTakeWhatWasReleasedInTheSameBatch) {
  Emails{}
      .confirmed("a", ann, "ann@x.io")
      .given("a", email_changed(ann, "ann@x.io", "ann@y.io"))
      .given("a", created(bob, "ann@x.io"))
      .then("a", "ann@x.io", bob)
      .given("a", ContactDeleted{ann, 3})
      .then("a", "ann@x.io", bob)
      .then("a", "ann@y.io", {});
}

TEST(EmailRegistry, IgnoresEventsThatNameNoEmail) {
  Emails{}
      .confirmed("a", ann, "ann@x.io")
      .given("a", ContactUpdated{ann, 2, {first(Field::company, "Acme")}})
      .given("a", created(bob))
      .then("a", "ann@x.io", ann);
}

// The organizations' contacts, looked through one by one.
using Contacts = std::map<ContactId, ContactState>;
using Organizations = std::map<OrganizationId, Contacts>;

std::optional<ContactId> naive_holder(const Organizations& all, const OrganizationId& of,
                                      std::string_view email) {
  const auto contacts = all.find(of);
  if (contacts == all.end()) return std::nullopt;
  for (const auto& [id, state] : contacts->second) {
    const auto* contact = std::get_if<Contact>(&state);
    if (contact == nullptr || (*contact)[Field::email].is_null()) continue;
    if ((*contact)[Field::email].unquoted() == email) return id;
  }
  return std::nullopt;
}

const ContactPatch& patch_of(const Command& command) {
  static const ContactPatch none;
  if (const auto* create = std::get_if<CreateContact>(&command)) return create->values;
  if (const auto* update = std::get_if<UpdateContact>(&command)) return update->patch;
  return none;
}

// Decides one command on what the registry says, and tells both of the event.
void run(const Command& command, const OrganizationId& of, Organizations& all,
         EmailRegistry& registry) {
  const auto email = email_set_by(patch_of(command));
  const auto holder = email ? registry.holder(of, *email) : std::nullopt;
  if (email) {
    ASSERT_EQ(holder, naive_holder(all, of, *email));
  }
  std::visit(
      [&](const auto& asked) {
        if constexpr (requires(ContactState state) { decide(asked, state, holder); }) {
          ContactState& state = all[of][asked.id];
          const Decision decision = decide(asked, state, holder);
          const auto* event = std::get_if<Event>(&decision);
          if (event == nullptr) return;
          registry.apply(of, std::get_if<Contact>(&state), *event);
          std::visit(
              [&](const auto& fact) {
                if constexpr (requires { evolve(state, fact, noon); }) {
                  state = evolve(std::move(state), fact, noon);
                }
              },
              *event);
        }
      },
      command);
}

// Each batch begins with what the batches before it have confirmed.
TEST(EmailRegistry, AgreesWithANaiveModel) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  RandomCommands commands{random};
  Organizations all;
  for (int batch = 0; batch < 100; ++batch) {
    const Organizations confirmed = all;
    EmailRegistry registry{[&](const OrganizationId& of, std::string_view email) {
      return naive_holder(confirmed, of, email);
    }};
    for (std::size_t i = 1 + random.below(20); i > 0; --i) {
      const OrganizationId of = commands.organization();
      std::vector<ContactId> known;
      for (const auto& [id, state] : all[of]) known.push_back(id);
      ASSERT_NO_FATAL_FAILURE(run(commands.next(known), of, all, registry));
    }
  }
}

}  // namespace
}  // namespace contactd::domain
