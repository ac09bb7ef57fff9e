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
  std::string row(200, '\0');
  for (char& byte : row) byte = static_cast<char>(random.below(256));
  return row;
}

TEST(RowCache, KeepsWhatWasPut) {
  RowCache cache{10'000};
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
  RowCache probe{100'000};
  for (std::size_t i = 0; i < 100; ++i) probe.put(key_of(i), unlike_row(random));
  // Room for a hundred of them, of which each may take some bytes more than another.
  RowCache cache{probe.bytes() + 1'000};
  for (std::size_t i = 0; i < 100; ++i) cache.put(key_of(i), unlike_row(random));
  for (std::size_t i = 0; i < 50; ++i) EXPECT_TRUE(cache.find(key_of(i))) << i;
  for (std::size_t i = 100; i < 145; ++i) cache.put(key_of(i), unlike_row(random));
  for (std::size_t i = 0; i < 50; ++i) EXPECT_TRUE(cache.find(key_of(i))) << i;
  std::size_t dropped = 0;
  for (std::size_t i = 50; i < 100; ++i) dropped += cache.find(key_of(i)) ? 0U : 1U;
  EXPECT_GE(dropped, 30U);
}

TEST(RowCache, TakesAThirdForRowsThatAreAlike) {
  RowCache cache{1'000'000};
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
  RowCache cache{1'000};
  cache.put("a", "1");
  cache.put("b", "1");
  cache.put("b", std::string(2'000, 'x'));
  EXPECT_EQ(cache.find("a"), "1");
  EXPECT_EQ(cache.find("b"), std::nullopt);
  RowCache none{0};
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
  RowCache small{bytes_max};
  RowCache big{1'000'000};
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
  cache.remember(before, "a", "read");
  EXPECT_EQ(cache.find("a"), "read");
  cache.replacing();
  cache.erase("a");
  cache.remember(before, "a", "read");
  EXPECT_EQ(cache.find("a"), std::nullopt);
  cache.remember(cache.age(), "a", "read anew");
  EXPECT_EQ(cache.find("a"), "read anew");
  cache.clear();
  EXPECT_EQ(cache.find("a"), std::nullopt);
}

// Rows change beneath it while others read them through it.
TEST(SharedRowCache, IsNeverLeftWithARowThatWasReplaced) {
  constexpr std::size_t keys = 16;
  std::array<std::atomic<int>, keys> disk{};
  SharedRowCache cache{1'000'000};
  std::atomic<bool> done = false;
  std::vector<std::jthread> readers;
  for (std::size_t thread = 0; thread < 2; ++thread) {
    readers.emplace_back([&, thread] {
      for (std::size_t i = thread; !done; ++i) {
        const std::string key = key_of(i % keys);
        const std::uint64_t age = cache.age();
        if (cache.find(key)) continue;
        cache.remember(age, key, std::to_string(disk[i % keys]));
      }
    });
  }
  for (int value = 1; value <= 5'000; ++value) {
    const std::size_t number = static_cast<std::size_t>(value) % keys;
    disk[number] = value;
    cache.replacing();
    if (value % 3 == 0) {
      cache.put(key_of(number), std::to_string(value));
    } else {
      cache.erase(key_of(number));
    }
    const auto row = cache.find(key_of(number));
    if (row) {
      ASSERT_EQ(row, std::to_string(value));
    }
  }
  done = true;
}

}  // namespace
}  // namespace contactd::infra
