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

// Calls `check` with random logs, and with what comes of each event by event.
template <class Check>
void with_random_logs(const Check& check) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  for (int i = 0; i < logs; ++i) {
    RandomLog source{random};
    source.run(commands_each);
    Tables one_by_one;
    for (std::size_t n = 0; n < source.log().size(); ++n) fold_some(one_by_one, source.log(), 1);
    check(source.log(), one_by_one, random);
    ASSERT_FALSE(testing::Test::HasFailure());
  }
}

// Folds the log in batches of random sizes.
Tables folded_in_cuts(const std::vector<domain::RecordedEvent>& log, Random& random,
                      std::size_t count_max, FoldBatch::Rows rows) {
  Tables tables;
  for (std::size_t left = log.size(); left > 0;) {
    const std::size_t count = std::min(left, 1 + random.below(count_max));
    fold_some(tables, log, count, 0, rows);
    left -= count;
  }
  return tables;
}

TEST(FoldProperty, IsTheSameHoweverTheLogIsCut) {
  with_random_logs([](const auto& log, const Tables& one_by_one, Random& random) {
    Tables all_at_once;
    fold_some(all_at_once, log, log.size());
    expect_equal(all_at_once, one_by_one);
    expect_equal(folded_in_cuts(log, random, 40, FoldBatch::Rows::of_each_event), one_by_one);
  });
}

// A batch of many events writes a contact's rows once, and leaves what event by event would have.
TEST(FoldProperty, IsTheSameWhereRowsAreWrittenAtTheEnd) {
  with_random_logs([](const auto& log, const Tables& one_by_one, Random& random) {
    expect_equal(folded_in_cuts(log, random, log.size() / 2, FoldBatch::Rows::of_the_end),
                 one_by_one);
  });
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
