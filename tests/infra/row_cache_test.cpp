#include "infra/row_cache.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <thread>

#include "tests/domain/samples.hpp"

namespace contactd::infra {
namespace {

using namespace contactd::test;

std::string key_of(std::size_t number) { return "key " + std::to_string(number); }

// A row that has nothing in common with another.
std::string unlike_row(Random& random) {
  std::string row(300, '\0');
  for (char& byte : row) byte = static_cast<char>(random.below(256));
  return row;
}

// A cache of rows that are packed on their way in, and unpacked on their way out.
class Rows {
 public:
  explicit Rows(std::size_t bytes_max) : cache_(bytes_max) {}

  std::optional<std::string> find(const std::string& key) {
    const PackedRow* row = cache_.find(key);
    return row == nullptr ? std::nullopt : packer_.unpack(*row, key);
  }
  void put(const std::string& key, const std::string& row) {
    cache_.put(key, packer_.pack(key, row));
  }
  void erase(const std::string& key) { cache_.erase(key); }
  void clear() { cache_.clear(); }
  std::size_t bytes() const { return cache_.bytes(); }

 private:
  RowPacker packer_;
  RowCache cache_;
};

TEST(RowPacker, UnpacksWhatItPackedAndForThatKeyAlone) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  RowPacker packer;
  // The first is too short to learn from; the second one is what all others are packed by.
  std::vector<std::string> rows{"short", unlike_row(random), "", unlike_row(random)};
  rows.push_back(rows[1] + rows[3]);
  rows.push_back(std::string(100'000, 'x') + rows[1]);
  std::vector<PackedRow> packed;
  packed.reserve(rows.size());
  for (const std::string& row : rows) packed.push_back(packer.pack("key", row));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(packer.unpack(packed[i], "key"), rows[i]) << i;
    EXPECT_EQ(packer.unpack(packed[i], "another key"), std::nullopt) << i;
  }
  EXPECT_LT(packer.pack("key", rows[1]).packed_bytes, 30U);
}

TEST(RowCache, KeepsWhatWasPut) {
  Rows cache{10'000};
  EXPECT_EQ(cache.find("a"), std::nullopt);
  cache.put("a", "1");
  cache.put("b", "2");
  cache.put("empty", "");
  cache.put("a", "longer than before");
  EXPECT_EQ(cache.find("a"), "longer than before");
  EXPECT_EQ(cache.find("b"), "2");
  EXPECT_EQ(cache.find("empty"), "");
  cache.erase("a");
  cache.erase("a");
  EXPECT_EQ(cache.find("a"), std::nullopt);
  cache.erase("b");
  cache.erase("empty");
  EXPECT_EQ(cache.bytes(), 0U);
  cache.put("a", "1");
  cache.clear();
  EXPECT_EQ(cache.find("a"), std::nullopt);
  EXPECT_EQ(cache.bytes(), 0U);
}

TEST(RowCache, DropsWhatWasNotAskedFor) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  Rows probe{100'000};
  for (std::size_t i = 0; i < 100; ++i) probe.put(key_of(i), unlike_row(random));
  // Room for a hundred of them, of which each may take some bytes more than another.
  Rows cache{probe.bytes() + 1'000};
  for (std::size_t i = 0; i < 100; ++i) cache.put(key_of(i), unlike_row(random));
  for (std::size_t i = 0; i < 50; ++i) EXPECT_TRUE(cache.find(key_of(i))) << i;
  for (std::size_t i = 100; i < 145; ++i) cache.put(key_of(i), unlike_row(random));
  for (std::size_t i = 0; i < 50; ++i) EXPECT_TRUE(cache.find(key_of(i))) << i;
  std::size_t dropped = 0;
  for (std::size_t i = 50; i < 100; ++i) dropped += cache.find(key_of(i)) ? 0U : 1U;
  EXPECT_GE(dropped, 30U);
}

TEST(RowCache, TakesAThirdForRowsThatAreAlike) {
  Rows cache{1'000'000};
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < 1'000; ++i) {
    std::string row;
    for (std::size_t member = 0; member < 20; ++member) {
      row += R"("member )" + std::to_string(member) + R"(":"value",)";
    }
    row += R"("id":")" + std::to_string(1'000'000 + 7 * i) + '"';
    bytes += row.size();
    cache.put(key_of(i), row);
    ASSERT_EQ(cache.find(key_of(i)), row);
  }
  EXPECT_LT(cache.bytes(), bytes / 3);
}

TEST(RowCache, HoldsNothingThatIsBiggerThanItself) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  std::string big;
  for (int i = 0; i < 10; ++i) big += unlike_row(random);
  Rows cache{1'000};
  cache.put("a", "1");
  cache.put("b", "1");
  cache.put("b", big);
  EXPECT_EQ(cache.find("a"), "1");
  EXPECT_EQ(cache.find("b"), std::nullopt);
  Rows none{0};
  none.put("a", "1");
  EXPECT_EQ(none.find("a"), std::nullopt);
  EXPECT_EQ(none.bytes(), 0U);
}

// What it says is what was put last, and it forgets nothing for which there is room.
TEST(RowCache, AgreesWithAMap) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  constexpr std::size_t bytes_max = 6'000;
  Rows small{bytes_max};
  Rows big{1'000'000};
  std::map<std::string, std::string> model;
  std::size_t forgotten = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string key = key_of(random.below(60));
    switch (random.below(4)) {
      case 0:
        model.erase(key);
        small.erase(key);
        big.erase(key);
        break;
      case 1:
        model[key] = unlike_row(random).substr(random.below(200));
        small.put(key, model[key]);
        big.put(key, model[key]);
        break;
      default: {
        const auto known = model.find(key);
        const auto expected = known == model.end() ? std::nullopt : std::optional{known->second};
        ASSERT_EQ(big.find(key), expected);
        const auto row = small.find(key);
        if (row) {
          ASSERT_EQ(row, expected);
        }
        if (expected && !row) ++forgotten;
      }
    }
    ASSERT_LE(small.bytes(), bytes_max);
  }
  EXPECT_GT(forgotten, 0U);
  for (std::size_t i = 0; i < 60; ++i) {
    small.erase(key_of(i));
    big.erase(key_of(i));
  }
  EXPECT_EQ(small.bytes(), 0U);
  EXPECT_EQ(big.bytes(), 0U);
}

TEST(SharedRowCache, RemembersNothingThatWasReadBeforeRowsWereReplaced) {
  SharedRowCache cache{1'000'000};
  const std::uint64_t before = cache.age();
  EXPECT_TRUE(cache.remember(before, "a", "read"));
  EXPECT_EQ(cache.find("a"), "read");
  cache.replaced();
  cache.erase("a");
  EXPECT_FALSE(cache.remember(before, "a", "read"));
  EXPECT_EQ(cache.find("a"), std::nullopt);
  EXPECT_TRUE(cache.remember(cache.age(), "a", "read anew"));
  EXPECT_EQ(cache.find("a"), "read anew");
  cache.clear();
  EXPECT_EQ(cache.find("a"), std::nullopt);
}

// Rows change in the table while others read them through the cache.
TEST(SharedRowCache, IsNeverLeftWithARowThatWasReplaced) {
  constexpr std::size_t keys = 16;
  std::array<std::atomic<std::size_t>, keys> table{};
  SharedRowCache cache{1'000'000};
  std::atomic<bool> done = false;
  constexpr std::size_t readers_count = 2;
  std::vector<std::thread> readers;
  readers.reserve(readers_count);
  for (std::size_t thread = 0; thread < readers_count; ++thread) {
    readers.emplace_back([&, thread] {
      for (std::size_t i = thread; !done; ++i) {
        const std::string key = key_of(i % keys);
        const std::uint64_t age = cache.age();
        if (cache.find(key)) continue;
        cache.remember(age, key, std::to_string(table[i % keys]));
      }
    });
  }
  std::size_t stale = 0;
  const auto look = [&](std::size_t number) {
    const auto row = cache.find(key_of(number));
    if (row && *row != std::to_string(table[number])) ++stale;
  };
  for (std::size_t value = 1; value <= 50'000; ++value) {
    const std::size_t number = value % keys;
    look(number);  // what the readers have left there since it was replaced last
    table[number] = value;
    cache.replaced();
    if (value % 3 == 0) {
      cache.put(key_of(number), std::to_string(value));
    } else {
      cache.erase(key_of(number));
    }
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  for (std::size_t number = 0; number < keys; ++number) look(number);
  EXPECT_EQ(stale, 0U);
}

}  // namespace
}  // namespace contactd::infra
