#include <gtest/gtest.h>

#include "domain/contact/decide.hpp"
#include "tests/domain/random_commands.hpp"

namespace contactd::domain {
namespace {

using namespace contactd::test;

TEST(Evolve, CreatesAtVersionOne) {
  const ContactState state = evolve({}, created(ann, "ann@x.io"), noon);
  const auto& contact = std::get<Contact>(state);
  EXPECT_EQ(contact.id, ann);
  EXPECT_EQ(contact.version, 1U);
  EXPECT_EQ(contact.created_at, noon);
  EXPECT_EQ(contact.updated_at, noon);
  EXPECT_EQ(contact[Field::email].json(), "\"ann@x.io\"");
  EXPECT_EQ(contact[Field::status].json(), "\"active\"");
  EXPECT_EQ(contact[Field::tags].json(), "[]");
  EXPECT_TRUE(contact[Field::company].is_null());
  EXPECT_EQ(contact.changed_in[index_of(Field::email)], 1U);
  EXPECT_EQ(contact.changed_in[index_of(Field::company)], 0U);
}

TEST(Evolve, UpdatesWhatTheEventNamesAndRemembersWhen) {
  ContactState state = evolve({}, created(ann, "ann@x.io"), noon);
  state =
      evolve(std::move(state), ContactUpdated{ann, 2, {first(Field::company, "Acme")}}, after(5));
  const auto& contact = std::get<Contact>(state);
  EXPECT_EQ(contact.version, 2U);
  EXPECT_EQ(contact.created_at, noon);
  EXPECT_EQ(contact.updated_at, after(5));
  EXPECT_EQ(contact[Field::company].json(), "\"Acme\"");
  EXPECT_EQ(contact[Field::email].json(), "\"ann@x.io\"");
  EXPECT_EQ(contact.changed_in[index_of(Field::company)], 2U);
  EXPECT_EQ(contact.changed_in[index_of(Field::email)], 1U);
}

TEST(Evolve, NeverMovesUpdatedAtBackwards) {
  ContactState state = evolve({}, created(ann), noon);
  state = evolve(std::move(state), ContactUpdated{ann, 2, {first(Field::company, "Acme")}},
                 after(-1000));
  EXPECT_EQ(std::get<Contact>(state).updated_at, noon);
}

TEST(Evolve, LeavesNothingOfADeletedContact) {
  const ContactState state = evolve({}, created(ann, "ann@x.io"), noon);
  EXPECT_EQ(evolve(state, ContactDeleted{ann, 2}, noon), ContactState{Absent{}});
}

TEST(Evolve, IsTotal) {
  EXPECT_EQ(evolve({}, ContactUpdated{ann, 7, {}}, noon), ContactState{Absent{}});
  EXPECT_EQ(evolve({}, ContactDeleted{ann, 7}, noon), ContactState{Absent{}});
}

TEST(FieldTable, NamesEveryFieldOnce) {
  for (const FieldSpec& spec : field_table) {
    EXPECT_EQ(field_named(spec.name), spec.field);
    EXPECT_EQ(name_of(spec.field), spec.name);
  }
  for (const char* name : {"", "id", "created_at", "updated_at", "Email", "organizationID"}) {
    EXPECT_EQ(field_named(name), std::nullopt) << name;
  }
}

// Values that grow, shrink and go leave those around them as they are.
TEST(FieldValues, EachFieldHoldsWhatWasSetLast) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  FieldValues values;
  std::array<FieldValue, field_count> expected;
  for (const FieldSpec& spec : field_table)
    expected[index_of(spec.field)] = unset_value(spec.field);
  for (int i = 0; i < 2'000; ++i) {
    const Field field = field_table[random.below(field_count)].field;
    FieldValue& value = expected[index_of(field)];
    value =
        random.below(4) == 0 ? FieldValue{unset_value(field)} : FieldValue::text(random.text(9));
    values.set(field, value);
    for (const FieldSpec& spec : field_table) {
      ASSERT_EQ(values[spec.field], FieldView{expected[index_of(spec.field)]}) << spec.name;
    }
  }
  std::array<FieldView, field_count> views;
  for (std::size_t i = 0; i < field_count; ++i) views[i] = expected[i];
  EXPECT_EQ(FieldValues{views}, values);
}

// What a command asks for holds once its event has been applied: saying it again changes nothing.
TEST(DecideAndEvolve, ACommandRepeatedIsNothingToDo) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  RandomCommands commands{random};
  ContactState state = evolve({}, created(ann), noon);
  for (int i = 0; i < 2'000; ++i) {
    const UpdateContact command{ann, commands.patch(), {}};
    const Decision decision = decide(command, state, std::nullopt);
    const auto* event = std::get_if<Event>(&decision);
    if (event == nullptr) {
      ASSERT_EQ(decision, Decision{NothingToDo{}});
      continue;
    }
    const auto& updated = std::get<ContactUpdated>(*event);
    ASSERT_EQ(updated.version, std::get<Contact>(state).version + 1);
    for (const FieldChange& change : updated.changes) {
      ASSERT_EQ(change.before, std::get<Contact>(state)[change.field]);
      ASSERT_NE(change.before, change.after);
    }
    state = evolve(std::move(state), updated, after(i));
    ASSERT_EQ(decide(command, state, std::nullopt), Decision{NothingToDo{}});
    ASSERT_EQ(decide(command, state, ann), Decision{NothingToDo{}});
  }
}

}  // namespace
}  // namespace contactd::domain
