#include "infra/row_loader.hpp"

#include <gtest/gtest.h>

#include "infra/read_store.hpp"
#include "projections/key_layout.hpp"
#include "tests/domain/samples.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/temporary_directory.hpp"

namespace contactd::infra {
namespace {

using namespace contactd::test;
using projections::Table;

constexpr std::chrono::seconds patience{30};

class RowLoaderTest : public testing::Test {
 protected:
  static constexpr std::size_t contacts = 3'000;

  static std::string key_of(std::size_t number) {
    return projections::keys::contact(org("acme"), contact_id(std::to_string(10'000 + number)));
  }
  static std::string row_of(std::size_t number) { return "row " + std::to_string(number); }

  // The projections with that many contacts, on the disk.
  RowLoaderTest() {
    const auto store = open_read_store(directory_.path() / "projections");
    const auto batch = store->begin();
    for (std::size_t i = 0; i < contacts; ++i) batch->put(Table::contacts, key_of(i), row_of(i));
    batch->commit();
    store->flush();
  }

  static std::size_t loaded(SharedRowCache& rows) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < contacts; ++i) {
      const auto row = rows.find(key_of(i));
      if (!row) continue;
      EXPECT_EQ(row, row_of(i));
      ++count;
    }
    return count;
  }

  const TemporaryDirectory directory_;
};

TEST_F(RowLoaderTest, LoadsAllForWhichThereIsRoom) {
  const RocksDb db{directory_.path() / "projections", {{"default", {}}, {"contacts", {}}}};
  SharedRowCache rows{8U << 20U};
  const RowLoader loader{db, rows};
  EXPECT_TRUE(eventually([&] { return loaded(rows) == contacts; }, patience));
  EXPECT_FALSE(rows.full());

  SharedRowCache few{64U << 10U};
  const RowLoader loader_of_few{db, few};
  EXPECT_TRUE(eventually([&] { return few.full(); }, patience));
  EXPECT_LT(loaded(few), contacts);
}

// Each time it needs another iterator, which goes on from the row that was refused.
TEST_F(RowLoaderTest, GoesOnWhereRowsWereReplaced) {
  const RocksDb db{directory_.path() / "projections", {{"default", {}}, {"contacts", {}}}};
  SharedRowCache rows{8U << 20U};
  const RowLoader loader{db, rows};
  EXPECT_TRUE(eventually(
      [&] {
        rows.replaced();
        return loaded(rows) == contacts;
      },
      patience));
}

// One that went on to the end would have loaded all of them each time.
TEST_F(RowLoaderTest, StopsWhileItLoads) {
  const RocksDb db{directory_.path() / "projections", {{"default", {}}, {"contacts", {}}}};
  constexpr std::size_t rounds = 20;
  std::size_t count = 0;
  for (std::size_t i = 0; i < rounds; ++i) {
    SharedRowCache rows{8U << 20U};
    {
      const RowLoader loader{db, rows};
    }
    count += loaded(rows);
  }
  EXPECT_LT(count, rounds * contacts);
}

}  // namespace
}  // namespace contactd::infra
