#include <gtest/gtest.h>

#include "domain/contact/decide.hpp"
#include "tests/domain/random_commands.hpp"

// Giving a contact the values of an earlier version.
namespace contactd::domain {
namespace {

using namespace contactd::test;

Contact as_contact(const ContactState& state) { return std::get<Contact>(state); }

// ann, created with an email, who was given another and a company since.
struct Ann {
  ContactState first = evolve(ContactState{}, created(ann, "ann@x.io"), noon);
  ContactState now = evolve(first,
                            ContactUpdated{ann,
                                           2,
                                           {change(Field::email, "ann@x.io", "ann@y.io"),
                                            contactd::test::first(Field::company, "Acme")}},
                            after(1));
  RevertContact to_first{ann, 1, patch_to(as_contact(first)), AnyVersion{}};
};

TEST(DecideRevert, IsAnUpdateToWhatWas) {
  const Ann is;
  const Decision expected =
      Event{ContactUpdated{ann,
                           3,
                           {change(Field::email, "ann@y.io", "ann@x.io"),
                            change(Field::company, FieldValue::text("Acme"), FieldValue{})}}};
  EXPECT_TRUE(decide(is.to_first, is.now, std::nullopt) == expected);
  EXPECT_TRUE(decide(is.to_first, is.now, ann) == expected);
}

TEST(DecideRevert, OfWhatIsSoAlreadyDoesNothing) {
  const Ann is;
  EXPECT_TRUE(decide(is.to_first, is.first, std::nullopt) == Decision{NothingToDo{}});
}

// One change a row, in the order in which the refusals come.
TEST(DecideRevert, RefusesInThisOrder) {
  const Ann is;
  RevertContact command = is.to_first;
  command.past.reset();
  command.version = 7;
  command.if_match = OneOf{{1}};
  EXPECT_TRUE(decide(command, ContactState{}, bob) == Decision{Rejection{ContactNotFound{}}});
  EXPECT_TRUE(decide(command, is.now, bob) ==
              (Decision{Rejection{VersionMismatch{2, {Field::email, Field::company}}}}));
  command.if_match = OneOf{{2}};
  EXPECT_TRUE(decide(command, is.now, bob) == Decision{Rejection{VersionNotFound{7}}});
  command.past = is.to_first.past;
  EXPECT_TRUE(decide(command, is.now, bob) == Decision{Rejection{EmailTaken{bob}}});
}

TEST(DecideRevert, GivesEveryFieldItsValueAgain) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  RandomCommands commands{random};
  ContactState state = evolve(ContactState{}, created(ann), noon);
  std::vector<Contact> versions = {as_contact(state)};
  const auto apply = [&](const Decision& decision) {
    const auto* event = std::get_if<Event>(&decision);
    if (event == nullptr) return;
    state = evolve(std::move(state), std::get<ContactUpdated>(*event), noon);
    versions.push_back(as_contact(state));
  };
  for (int i = 0; i < 300; ++i) {
    apply(decide(UpdateContact{ann, commands.patch(), AnyVersion{}}, state, std::nullopt));
    const Contact target = random.pick(versions);
    apply(decide(RevertContact{ann, target.version, patch_to(target), AnyVersion{}}, state,
                 std::nullopt));
    ASSERT_EQ(as_contact(state).values, target.values);
  }
}

}  // namespace
}  // namespace contactd::domain
