#include <gtest/gtest.h>

#include "tests/projections/log_builder.hpp"
#include "tests/projections/tables.hpp"

namespace contactd::projections {
namespace {

using namespace contactd::test;
using domain::Contact;
using domain::Field;

constexpr int logs = 12;
constexpr int commands_each = 250;

void expect_equal(const Tables& tables, const Tables& expected) {
  if (tables.all() == expected.all()) return;
  EXPECT_EQ(tables.lines(), expected.lines());
}

TEST(FoldProperty, IsTheSameHoweverTheLogIsCut) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  for (int i = 0; i < logs; ++i) {
    RandomLog source{random};
    source.run(commands_each);
    const auto& log = source.log();
    Tables one_by_one;
    for (std::size_t n = 0; n < log.size(); ++n) fold_some(one_by_one, log, 1);
    Tables all_at_once;
    fold_some(all_at_once, log, log.size());
    expect_equal(all_at_once, one_by_one);
    Tables random_cuts;
    for (std::size_t left = log.size(); left > 0;) {
      const std::size_t count = std::min(left, 1 + random.below(40));
      fold_some(random_cuts, log, count);
      left -= count;
    }
    expect_equal(random_cuts, one_by_one);
    ASSERT_FALSE(testing::Test::HasFailure());
  }
}

// A batch of many events writes a contact's rows once, and leaves what event by event would have.
TEST(FoldProperty, IsTheSameWhereRowsAreWrittenAtTheEnd) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  for (int i = 0; i < logs; ++i) {
    RandomLog source{random};
    source.run(commands_each);
    const auto& log = source.log();
    Tables one_by_one;
    for (std::size_t n = 0; n < log.size(); ++n) fold_some(one_by_one, log, 1);
    Tables at_the_end;
    for (std::size_t left = log.size(); left > 0;) {
      const std::size_t count = std::min(left, 1 + random.below(log.size() / 2));
      fold_some(at_the_end, log, count, 0, FoldBatch::Rows::of_the_end);
      left -= count;
    }
    expect_equal(at_the_end, one_by_one);
    ASSERT_FALSE(testing::Test::HasFailure());
  }
}

// What the read models say is what evolve() says, and the indexes say what the contacts do.
TEST(FoldProperty, AgreesWithEvolveAndItsOwnIndexes) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  for (int i = 0; i < logs; ++i) {
    RandomLog source{random};
    source.run(commands_each);
    Tables tables;
    fold_rest(tables, source.log());
    std::size_t present = 0;
    std::size_t emails = 0;
    std::map<std::string, ContactCounts> counts;
    for (const auto& [key, state] : source.states()) {
      const auto& [of, id] = key;
      const auto view = tables.contact(of, id);
      const auto* contact = std::get_if<Contact>(&state);
      ASSERT_EQ(view != nullptr, contact != nullptr);
      if (contact == nullptr) continue;
      ++present;
      ASSERT_EQ(view->contact, *contact);
      const bool active = (*contact)[Field::status].unquoted() == domain::status_active;
      ++(active ? counts[of.str()].active : counts[of.str()].inactive);
      ASSERT_EQ(
          tables.get(Table::by_update, keys::by_update(of, contact->updated_at, view->offset)),
          id.str() + (active ? "a" : "i"));
      ASSERT_TRUE(tables.get(Table::history, keys::history(of, id, contact->version)));
      if ((*contact)[Field::email].is_null()) continue;
      ++emails;
      ASSERT_EQ(tables.get(Table::emails, keys::email(of, (*contact)[Field::email].unquoted())),
                id.str());
    }
    EXPECT_EQ(tables[Table::contacts].size(), present);
    EXPECT_EQ(tables[Table::by_update].size(), present);
    EXPECT_EQ(tables[Table::emails].size(), emails);
    for (const char* name : {"a", "ab", "b"}) {
      const auto stored = read_counts(tables.get(Table::counts, keys::counts(org(name))));
      EXPECT_EQ(stored.active, counts[name].active);
      EXPECT_EQ(stored.inactive, counts[name].inactive);
    }
    ASSERT_FALSE(testing::Test::HasFailure());
  }
}

}  // namespace
}  // namespace contactd::projections
