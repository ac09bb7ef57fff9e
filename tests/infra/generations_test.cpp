#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <future>
#include <map>
#include <numeric>
#include <set>

#include "infra/errors.hpp"
#include "infra/read_store.hpp"
#include "tests/domain/random_commands.hpp"
#include "tests/infra/stored.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/temporary_directory.hpp"

// Rows that are in memory, in tables on the disk, or in both: a reader can't tell.
namespace contactd::infra {
namespace {

using namespace contactd::test;
using namespace projections;

// Writes at random to tables of every kind, to the store and to plain maps alike.
class RandomWrites {
 public:
  RandomWrites(ReadStore& store, Tables& model, Random& random)
      : store_(store), model_(model), random_(random) {}

  void commit_some() {
    const auto batch = store_.begin();
    Tables::Batch expected{model_};
    for (std::size_t i = random_.below(20); i > 0; --i) write_one(*batch, expected);
    batch->commit();
    expected.commit();
  }

 private:
  void write_one(WriteSink& store, WriteSink& model) {
    const auto both = [&](const auto& write) {
      write(store);
      write(model);
    };
    const std::string name(1, static_cast<char>('a' + random_.below(8)));
    const domain::OrganizationId of = org(random_.below(2) == 0 ? "a" : "ab");
    const domain::ContactId contact = contact_id(name.c_str());
    const std::string value = std::to_string(++written_);
    switch (random_.below(9)) {
      case 0:
        return both([&](auto& to) { to.put(Table::contacts, keys::contact(of, contact), value); });
      case 1:
        return both([&](auto& to) { to.remove(Table::contacts, keys::contact(of, contact)); });
      case 2:
        return both(
            [&](auto& to) { to.put(Table::history, keys::history(of, contact, written_), value); });
      case 3: {
        std::string& place = places_[keys::contact(of, contact)];
        const std::string before = std::exchange(place, keys::by_update(of, noon, written_));
        return both([&](auto& to) {
          if (!before.empty()) to.remove_once(Table::by_update, before);
          to.put(Table::by_update, place, value);
        });
      }
      case 4: {
        const std::string before = std::exchange(places_[keys::contact(of, contact)], {});
        if (before.empty()) return;
        return both([&](auto& to) { to.remove_once(Table::by_update, before); });
      }
      case 5:
        return both([&](auto& to) { to.put(Table::emails, keys::email(of, name), value); });
      case 6:
        return both([&](auto& to) { to.remove(Table::emails, keys::email(of, name)); });
      case 7:
        return both([&](auto& to) { to.put(Table::feed, keys::feed(of, written_), value); });
      default:
        return write_idempotency(both);
    }
  }

  template <class Both>
  void write_idempotency(const Both& both) {
    const auto day = static_cast<std::uint32_t>(random_.below(6));
    const auto digit = static_cast<std::uint8_t>(random_.below(4));
    if (random_.below(5) == 0) {
      both([&](auto& to) {
        to.remove_range(Table::idempotency, keys::idempotency_day(0, 0),
                        keys::idempotency_day(0, day));
      });
    } else {
      const std::string value = std::to_string(written_);
      both([&](auto& to) {
        to.put(Table::idempotency, keys::idempotency(0, day, digest(digit)), value);
      });
    }
  }

  ReadStore& store_;
  Tables& model_;
  Random& random_;
  std::uint64_t written_ = 0;
  std::map<std::string, std::string> places_;  // the key in by_update of each contact
};

class GenerationsTest : public testing::Test {
 protected:
  void reopen() {
    store_.reset();
    store_ = open_read_store(directory_.path() / "projections");
  }

  // What an iterator sees, and what a look-up sees.
  void expect_same(const Tables& model) {
    ASSERT_EQ(lines_of(*store_), model.lines());
    for (std::size_t i = 0; i < table_count; ++i) {
      const auto table = static_cast<Table>(i);
      for (const auto& [key, value] : seen_[i]) {
        const auto found = model[table].find(key);
        const auto expected =
            found == model[table].end() ? std::nullopt : std::optional{found->second};
        ASSERT_EQ(store_->get(table, key), expected) << name_of(table) << ' ' << printable(key);
      }
      for (const auto& [key, value] : model[table]) seen_[i].insert_or_assign(key, value);
    }
  }

  const TemporaryDirectory directory_;
  std::unique_ptr<ReadStore> store_ = open_read_store(directory_.path() / "projections");
  std::array<Tables::Rows, table_count> seen_;  // every key that ever was there
};

TEST_F(GenerationsTest, AgreeWithANaiveModelWhereverTheRowsAre) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  Tables model;
  RandomWrites writes{*store_, model, random};
  for (int round = 0; round < 300; ++round) {
    writes.commit_some();
    if (random.below(6) == 0) store_->flush();
    if (random.below(4) == 0) {
      ASSERT_NO_FATAL_FAILURE(expect_same(model));
    }
  }
  store_->flush();
  ASSERT_NO_FATAL_FAILURE(expect_same(model));
  reopen();
  ASSERT_NO_FATAL_FAILURE(expect_same(model));
}

// A closed database has all; nothing needs to be folded again.
TEST_F(GenerationsTest, AreWrittenOutWhenTheStoreIsClosed) {
  const auto batch = store_->begin();
  batch->put(Table::emails, keys::email(org("acme"), "ann@x.io"), contact_id("ann").str());
  batch->commit();
  reopen();
  EXPECT_EQ(store_->email_holder(org("acme"), "ann@x.io"), contact_id("ann"));
}

// Or the attempts to write to a disk that is almost full fill it.
TEST_F(GenerationsTest, AnAttemptThatFailsLeavesNoFiles) {
  const std::filesystem::path folder = directory_.path() / "projections";
  reopen();  // what is written next is numbered from 1
  // In the way of the second table's file, after the one before it was written.
  std::filesystem::create_directory(folder / "folded-2.sst");
  const auto files = [&] {
    return std::ranges::count_if(
        std::filesystem::directory_iterator{folder}, [](const auto& entry) {
          return entry.is_regular_file() && entry.path().filename().string().starts_with("folded-");
        });
  };
  const auto batch = store_->begin();
  batch->put(Table::contacts, keys::contact(org("acme"), contact_id("ann")), "row");
  batch->put(Table::emails, keys::email(org("acme"), "ann@x.io"), contact_id("ann").str());
  batch->commit();
  EXPECT_THROW(store_->flush(), StoreUnavailable);
  EXPECT_TRUE(eventually([&] { return files() == 0; }, std::chrono::seconds{10})) << files();
}

// Lists run while contacts change and generations go to the disk: a walk by cursor meets every
// contact that is there throughout.
TEST_F(GenerationsTest, AWalkByCursorMissesNobodyWhileTheyAreWrittenOut) {
  constexpr int contacts = 50;
  constexpr std::size_t page_size = 7;
  LogBuilder builder;
  const auto name = [](int i) { return "c" + std::to_string(i) + "x"; };
  for (int i = 0; i < contacts; ++i) builder.then(created(contact_id(name(i))));
  fold_rest(*store_, builder.log);
  std::atomic<bool> done = false;
  auto writer = std::async(std::launch::async, [&] {
    for (domain::Version version = 2; !done; ++version) {
      for (int i = 0; i < contacts; ++i) {
        builder.then(domain::ContactUpdated{contact_id(name(i)), version, {first_tags({"a"})}});
        fold_rest(*store_, builder.log);
      }
      store_->flush();
    }
  });
  for (int walk = 0; walk < 20; ++walk) {
    std::set<std::string> met;
    ListQuery query;
    query.page_size = page_size;
    // Contacts move behind the cursor as fast as it goes on: an end that a walk surely reaches.
    for (int page = 0; page < 10 * contacts && met.size() < contacts; ++page) {
      const ListPage found = store_->list(org("acme"), query);
      for (const std::string& json : found.contacts) met.insert(json.substr(0, 28));
      if (!found.last) break;
      query.after = found.last;
    }
    EXPECT_EQ(met.size(), static_cast<std::size_t>(contacts)) << "walk " << walk;
  }
  done = true;
  writer.get();
}

// More of an organization has changed in memory than a list looks at first: the oldest rows on the
// disk are all replaced, and what is left of them is far behind.
TEST_F(GenerationsTest, AListIsRightHoweverMuchOfItIsInMemory) {
  constexpr int contacts = 1500;
  LogBuilder builder;
  const auto id = [](int i) { return contact_id("c" + std::to_string(i) + "x"); };
  for (int i = 0; i < contacts; ++i) builder.then(created(id(i)));
  fold_rest(*store_, builder.log);
  store_->flush();
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  std::vector<int> order(contacts);
  std::iota(order.begin(), order.end(), 0);
  std::map<int, domain::Version> versions;
  // Of the oldest, of any, and of those again: in one generation and in two.
  for (const int changed : {1000, 400, 400}) {
    for (int n = 0; n < changed; ++n) {
      const auto at = changed == 1000 ? 0 : static_cast<std::ptrdiff_t>(random.below(contacts));
      const int contact = order[static_cast<std::size_t>(at)];
      builder.then(
          domain::ContactUpdated{id(contact), 1 + ++versions[contact], {first_tags({"a"})}});
      order.erase(order.begin() + at);
      order.push_back(contact);
    }
    fold_rest(*store_, builder.log);

    ListQuery query;
    query.page_size = 7;
    query.count = true;
    std::vector<std::string> walked;
    for (ListPage page = store_->list(org("acme"), query);;
         page = store_->list(org("acme"), query)) {
      EXPECT_EQ(page.total, static_cast<std::uint64_t>(contacts));
      walked.insert(walked.end(), page.contacts.begin(), page.contacts.end());
      if (!page.more) break;
      query.after = page.last;
    }
    ASSERT_EQ(walked.size(), order.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
      ASSERT_THAT(walked[i], testing::HasSubstr(id(order[i]).str())) << i;
    }
    query.after.reset();
    query.skip = 901;
    EXPECT_EQ(store_->list(org("acme"), query).contacts.front(), walked[901]);
  }
}

}  // namespace
}  // namespace contactd::infra
