#include "domain/contact/decide.hpp"

#include <gtest/gtest.h>

#include "domain/organization/api_key.hpp"
#include "tests/domain/random_commands.hpp"

namespace contactd::domain {
namespace {

using namespace contactd::test;

// given(what happened).when(command).then(decision)
class Scenario {
 public:
  template <class... ContactEvents>
  explicit Scenario(const ContactEvents&... events) {
    ((state_ = evolve(std::move(state_), events, noon)), ...);
  }
  Scenario& while_email_is_held_by(const ContactId& holder) {
    holder_ = holder;
    return *this;
  }
  template <class Command>
  Scenario& when(const Command& command) {
    decision_ = decide(command, state_, holder_);
    return *this;
  }
  void then(const Decision& expected) const { EXPECT_TRUE(decision_ == expected); }
  void then_event(const Event& expected) const { then(Decision{expected}); }
  void then_rejected(const Rejection& expected) const { then(Decision{expected}); }
  void then_nothing() const { then(Decision{NothingToDo{}}); }

 private:
  ContactState state_;
  std::optional<ContactId> holder_;
  Decision decision_;
};

template <class... ContactEvents>
Scenario given(const ContactEvents&... events) {
  return Scenario{events...};
}

ContactUpdated updated(Version version, std::vector<FieldChange> changes) {
  return {ann, version, std::move(changes)};
}

TEST(DecideCreate, StartsActiveUnlessToldOtherwise) {
  given()
      .when(CreateContact{ann, {}})
      .then_event(ContactCreated{ann, {first(Field::status, "active")}});
  given()
      .when(CreateContact{ann, {set(Field::status, "inactive")}})
      .then_event(ContactCreated{ann, {first(Field::status, "inactive")}});
}

TEST(DecideCreate, RecordsWhatWasGivenInTheOrderOfTheTable) {
  given()
      .when(CreateContact{
          ann, {tags({"vip"}), set(Field::email, "ann@x.io"), set(Field::first_name, "Ann")}})
      .then_event(ContactCreated{ann,
                                 {first(Field::first_name, "Ann"), first(Field::email, "ann@x.io"),
                                  first(Field::status, "active"), first_tags({"vip"})}});
}

TEST(DecideCreate, SaysNothingOfFieldsGivenAsTheyAreAnyway) {
  given()
      .when(CreateContact{ann, {clear(Field::company), tags({}), set(Field::status, "active")}})
      .then_event(ContactCreated{ann, {first(Field::status, "active")}});
}

TEST(DecideCreate, RefusesAnEmailThatAnotherContactHas) {
  given()
      .while_email_is_held_by(bob)
      .when(CreateContact{ann, {set(Field::email, "bob@x.io")}})
      .then_rejected(EmailTaken{bob});
}

TEST(DecideUpdate, IsOneEventWithOldAndNewValues) {
  given(created(ann, "ann@x.io"))
      .when(UpdateContact{
          ann, {set(Field::company, "Acme"), set(Field::email, "a@y.io"), tags({"x", "y"})}, {}})
      .then_event(updated(2, {change(Field::email, "ann@x.io", "a@y.io"),
                              first(Field::company, "Acme"), first_tags({"x", "y"})}));
}

TEST(DecideUpdate, NamesOnlyTheFieldsThatChange) {
  given(created(ann, "ann@x.io"))
      .when(UpdateContact{ann, {set(Field::email, "ann@x.io"), set(Field::status, "inactive")}, {}})
      .then_event(updated(2, {change(Field::status, "active", "inactive")}));
}

TEST(DecideUpdate, ClearsToNull) {
  given(created(ann), updated(2, {first(Field::company, "Acme")}))
      .when(UpdateContact{ann, {clear(Field::company)}, {}})
      .then_event(updated(
          3, {change(Field::company, FieldValue::text("Acme"), unset_value(Field::company))}));
}

TEST(DecideUpdate, TellsAnEmptyStringFromNullAndOneOrderOfTagsFromAnother) {
  given(created(ann))
      .when(UpdateContact{ann, {set(Field::company, "")}, {}})
      .then_event(updated(2, {first(Field::company, "")}));
  given(created(ann), updated(2, {first_tags({"x", "y"})}))
      .when(UpdateContact{ann, {tags({"y", "x"})}, {}})
      .then_event(updated(
          3, {change(Field::tags, FieldValue::list({"x", "y"}), FieldValue::list({"y", "x"}))}));
}

TEST(DecideUpdate, IsNothingWhereNothingWouldChange) {
  const std::vector<ContactPatch> patches = {
      {},
      {set(Field::email, "ann@x.io")},
      {clear(Field::company)},
      {tags({})},
      {set(Field::status, "active"), clear(Field::website), set(Field::email, "ann@x.io")}};
  for (const ContactPatch& patch : patches) {
    given(created(ann, "ann@x.io"))
        .while_email_is_held_by(ann)
        .when(UpdateContact{ann, patch, {}})
        .then_nothing();
  }
}

// Every refusal in the order in which they are looked for: each row puts right what the row before
// it was refused for.
TEST(DecideUpdate, RefusesInOrderOfPrecedence) {
  const UpdateContact stale{ann, {set(Field::email, "bob@x.io")}, OneOf{{1}}};
  const UpdateContact current{ann, {set(Field::email, "bob@x.io")}, OneOf{{2}}};
  const auto renamed = updated(2, {first(Field::first_name, "Ann")});

  given().while_email_is_held_by(bob).when(stale).then_rejected(ContactNotFound{});
  given(created(ann), renamed)
      .while_email_is_held_by(bob)
      .when(stale)
      .then_rejected(VersionMismatch{2, {Field::first_name}});
  given(created(ann), renamed)
      .while_email_is_held_by(bob)
      .when(current)
      .then_rejected(EmailTaken{bob});
  given(created(ann), renamed)
      .while_email_is_held_by(ann)
      .when(current)
      .then_event(updated(3, {first(Field::email, "bob@x.io")}));
}

TEST(DecideDelete, RefusesInOrderOfPrecedence) {
  const auto renamed = updated(2, {first(Field::first_name, "Ann")});
  given().when(DeleteContact{ann, OneOf{{1}}}).then_rejected(ContactNotFound{});
  given(created(ann), renamed)
      .when(DeleteContact{ann, OneOf{{1}}})
      .then_rejected(VersionMismatch{2, {Field::first_name}});
  given(created(ann), renamed)
      .when(DeleteContact{ann, OneOf{{2}}})
      .then_event(ContactDeleted{ann, 3});
}

TEST(DecideDelete, FindsNoContactTwice) {
  given(created(ann), ContactDeleted{ann, 2})
      .when(DeleteContact{ann, {}})
      .then_rejected(ContactNotFound{});
  given(created(ann), ContactDeleted{ann, 2})
      .when(UpdateContact{ann, {}, {}})
      .then_rejected(ContactNotFound{});
}

struct PreconditionRow {
  const char* what;
  Precondition if_match;
  std::optional<std::vector<Field>> changed;  // nothing: it holds
};

TEST(DecideUpdate, ComparesTheVersionWithWhatTheClientNamed) {
  const std::vector<PreconditionRow> rows = {
      {"no If-Match", AnyVersion{}, {}},
      {"the current version", OneOf{{3}}, {}},
      {"the current version among others", OneOf{{1, 3, 2}}, {}},
      {"the version before", OneOf{{2}}, {{Field::company}}},
      {"the first version", OneOf{{1}}, {{Field::last_name, Field::company}}},
      {"of several old versions, the newest counts", OneOf{{1, 2}}, {{Field::company}}},
      {"no version at all", OneOf{{}}, {{Field::last_name, Field::status, Field::company}}},
      {"a version that is not there yet", OneOf{{9}}, {std::vector<Field>{}}},
  };
  for (const PreconditionRow& row : rows) {
    SCOPED_TRACE(row.what);
    auto scenario = given(created(ann), updated(2, {first(Field::last_name, "Lee")}),
                          updated(3, {first(Field::company, "Acme")}));
    scenario.when(UpdateContact{ann, {}, row.if_match});
    if (row.changed) {
      scenario.then_rejected(VersionMismatch{3, *row.changed});
    } else {
      scenario.then_nothing();
    }
  }
}

TEST(Decide, FindsTheEmailThatAPatchSets) {
  EXPECT_EQ(email_set_by({}), std::nullopt);
  EXPECT_EQ(email_set_by({set(Field::website, "w"), tags({"t"})}), std::nullopt);
  EXPECT_EQ(email_set_by({tags({"t"}), set(Field::email, "ann@x.io")}), "ann@x.io");
}

TEST(DecideApiKey, CreatesAndRevokes) {
  const ApiKey held{"k1", org("a"), "ci", {Scope::read}, digest(7), noon, {}};
  ApiKey revoked = held;
  revoked.revoked_at = noon;
  EXPECT_TRUE(decide(CreateApiKey{"k1", "ci", {Scope::write}, digest(7)}) ==
              Decision{Event(ApiKeyCreated{"k1", "ci", {Scope::write}, digest(7)})});
  EXPECT_TRUE(decide(RevokeApiKey{"k1"}, std::nullopt) == Decision{Rejection(ApiKeyNotFound{})});
  EXPECT_TRUE(decide(RevokeApiKey{"k1"}, held) == Decision{Event(ApiKeyRevoked{"k1"})});
  EXPECT_TRUE(decide(RevokeApiKey{"k1"}, revoked) == Decision{NothingToDo{}});
}

TEST(DecideApiKey, RotatesAKeyThatHolds) {
  const ApiKey held{"k1", org("a"), "ci", {Scope::read}, digest(7), noon, {}};
  const RotateApiKey rotate{"k1", "k2", digest(8), after(90), after(10), after(5)};
  EXPECT_TRUE(decide(rotate, held) ==
              Decision{Event(ApiKeyCreated{
                  "k2", "ci", {Scope::read}, digest(8), after(90), ReplacedKey{"k1", after(10)}})});
  const Decision refused{Rejection(ApiKeyNotFound{})};
  EXPECT_TRUE(decide(rotate, std::nullopt) == refused);
  ApiKey revoked = held;
  revoked.revoked_at = noon;
  EXPECT_TRUE(decide(rotate, revoked) == refused);
  ApiKey expired = held;
  expired.expires_at = rotate.now;
  EXPECT_TRUE(decide(rotate, expired) == refused);
}

}  // namespace
}  // namespace contactd::domain
