#include "projections/history.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "domain/event_codec.hpp"
#include "projections/binary.hpp"
#include "tests/projections/log_builder.hpp"
#include "tests/projections/tables.hpp"

namespace contactd::projections {
namespace {

using namespace contactd::test;
using domain::ContactState;
using domain::Field;
using domain::FieldChange;
using domain::FieldValue;

// The state of a contact in every version, from 1 on, as its rows of history say; and then those of
// the contacts after it.
using Versions =
    std::map<std::pair<domain::OrganizationId, domain::ContactId>, std::vector<ContactState>>;

Versions versions_in(const Tables& tables) {
  Versions all;
  for (const auto& [key, row] : tables[Table::history]) {
    const auto [contact, version] = keys::history_position(key);
    auto& states = all[{org(key.substr(0, key.find('\0'))), contact}];
    EXPECT_EQ(version, states.size() + 1);
    ContactState before = states.empty() ? ContactState{} : states.back();
    states.push_back(evolve(std::move(before), contact, version, read_history(row)));
  }
  return all;
}

// The same, as the events of the log say.
Versions versions_in(const std::vector<domain::RecordedEvent>& log) {
  Versions all;
  Tables tables;
  for (std::size_t i = 0; i < log.size(); ++i) {
    if (fold_some(tables, log, 1).front().admission != Admission::current) continue;
    std::visit(
        [&](const auto& fact) {
          if constexpr (requires { domain::evolve(ContactState{}, fact, log[i].time); }) {
            auto& states = all[{log[i].organization, fact.contact}];
            ContactState before = states.empty() ? ContactState{} : states.back();
            states.push_back(domain::evolve(std::move(before), fact, log[i].time));
          }
        },
        log[i].event);
  }
  return all;
}

TEST(History, FoldsToEveryVersionThatTheContactHad) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  for (int i = 0; i < 8; ++i) {
    RandomLog source{random};
    source.run(250);
    Tables tables;
    fold_rest(tables, source.log());
    const Versions versions = versions_in(tables);
    EXPECT_EQ(versions, versions_in(source.log()));
    for (const auto& [key, state] : source.states()) {
      const auto found = versions.find(key);
      if (found != versions.end()) {
        EXPECT_EQ(found->second.back(), state);
      }
    }
    ASSERT_FALSE(testing::Test::HasFailure());
  }
}

domain::ContactUpdated company(domain::Version version, const std::string& name) {
  return {ann, version, {change(Field::company, "Acme", name)}};
}

TEST(History, HasASnapshotOfEverySixtyFourthVersion) {
  LogBuilder builder;
  builder.then(created(ann, "ann@x.io"));
  for (domain::Version version = 2; version <= 191; ++version) {
    builder.at(after(static_cast<std::int64_t>(version)));
    builder.then(company(version, std::to_string(version)));
  }
  builder.then(domain::ContactDeleted{ann, 192});
  Tables tables;
  fold_rest(tables, builder.log);
  const auto versions = versions_in(tables).at({org("acme"), ann});
  ASSERT_EQ(tables[Table::snapshots].size(), 2U);
  for (const domain::Version version : {64U, 128U}) {
    const auto row = tables.get(Table::snapshots, keys::snapshot(org("acme"), ann, version));
    ASSERT_TRUE(row);
    EXPECT_EQ(ContactState{read_contact(*row).contact}, versions.at(version - 1));
  }
  EXPECT_EQ(snapshot_before(63), 0U);
  EXPECT_EQ(snapshot_before(64), 64U);
  EXPECT_EQ(snapshot_before(127), 64U);
}

TEST(History, ReadsBackAnyChanges) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  const auto value = [&](Field field) {
    if (field == Field::tags) return FieldValue::list({random.text(4), random.text(4)});
    return random.one_in(4) ? FieldValue{} : FieldValue::text(random.text(8));
  };
  for (int i = 0; i < 500; ++i) {
    std::vector<FieldChange> changes;
    for (const domain::FieldSpec& spec : domain::field_table) {
      if (random.one_in(5)) changes.push_back({spec.field, value(spec.field), value(spec.field)});
    }
    std::string json;
    domain::append_changes(json, changes);
    ASSERT_EQ(read_changes(json), changes) << json;
  }
}

TEST(History, RefusesChangesThatAreNotWhole) {
  std::string whole;
  domain::append_changes(whole, {first(Field::company, "Acme"), first_tags({"a", "b"})});
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THROW(read_changes(whole.substr(0, length)), CorruptRecord) << length;
  }
  for (const char* json : {"", "[]", "{}x", R"({"x":{"old":null,"new":null}})",
                           R"({"email":{"old":null,"new":1}})", R"({"email":{"new":null}})"}) {
    EXPECT_THROW(read_changes(json), CorruptRecord) << json;
  }
}

TEST(History, KnowsWhichFieldsAnEventTouched) {
  LogBuilder builder;
  builder.then(created(ann, "ann@x.io")).then(domain::ContactDeleted{ann, 2});
  Tables tables;
  fold_rest(tables, builder.log);
  const HistoryEntry creation = read_history(tables[Table::history].begin()->second);
  const HistoryEntry deletion = read_history(tables[Table::history].rbegin()->second);
  EXPECT_TRUE(touches(creation, {Field::tags, Field::email}));
  EXPECT_FALSE(touches(creation, {Field::tags, Field::company}));
  EXPECT_FALSE(touches(deletion, {Field::email}));
  EXPECT_EQ(type_of(creation.kind), "contactd.contact.created.v1");
  EXPECT_EQ(type_of(HistoryEntry::Kind::updated), "contactd.contact.updated.v1");
  EXPECT_EQ(type_of(deletion.kind), "contactd.contact.deleted.v1");
}

}  // namespace
}  // namespace contactd::projections
