#include "infra/row_cache.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

#include "tests/domain/samples.hpp"

namespace contactd::infra {
namespace {

using namespace contactd::test;

std::optional<std::string> found(RowCache& cache, std::string_view key) {
  const std::string* row = cache.find(key);
  if (row == nullptr) return std::nullopt;
  return *row;
}

TEST(RowCache, KeepsWhatWasPut) {
  RowCache cache{10'000};
  EXPECT_EQ(found(cache, "a"), std::nullopt);
  cache.put("a", "1");
  cache.put("b", "2");
  cache.put("a", "longer than before");
  EXPECT_EQ(found(cache, "a"), "longer than before");
  EXPECT_EQ(found(cache, "b"), "2");
  cache.erase("a");
  cache.erase("a");
  EXPECT_EQ(found(cache, "a"), std::nullopt);
  cache.erase("b");
  EXPECT_EQ(cache.bytes(), 0U);
}

TEST(RowCache, DropsWhatWasUsedLeastRecently) {
  RowCache probe{10'000};
  probe.put("a", "1");
  const std::size_t each = probe.bytes();
  RowCache cache{3 * each};
  for (const char* key : {"a", "b", "c"}) cache.put(key, "1");
  cache.find("a");
  cache.put("b", "2");
  cache.put("d", "1");
  EXPECT_EQ(found(cache, "c"), std::nullopt);
  for (const char* key : {"a", "b", "d"}) EXPECT_NE(cache.find(key), nullptr) << key;
}

TEST(RowCache, HoldsNothingThatIsBiggerThanItself) {
  RowCache cache{1'000};
  cache.put("a", "1");
  cache.put("b", std::string(2'000, 'x'));
  EXPECT_EQ(cache.find("b"), nullptr);
  EXPECT_EQ(cache.bytes(), 0U);
  cache.put("c", "1");
  EXPECT_EQ(found(cache, "c"), "1");
}

// Against a list that is looked through from its end.
TEST(RowCache, AgreesWithANaiveModel) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  constexpr std::size_t bytes_max = 5'000;
  RowCache probe{bytes_max};
  probe.put("x", "");
  const std::size_t overhead = probe.bytes() - 1;
  RowCache cache{bytes_max};
  std::deque<std::pair<std::string, std::string>> model;  // the most recently used first
  const auto in_model = [&](const std::string& key) {
    return std::find_if(model.begin(), model.end(),
                        [&](const auto& entry) { return entry.first == key; });
  };
  const auto bytes = [&] {
    std::size_t sum = 0;
    for (const auto& [key, row] : model) sum += overhead + key.size() + row.size();
    return sum;
  };
  for (int i = 0; i < 20'000; ++i) {
    const std::string key = "k" + std::to_string(random.below(40));
    const auto known = in_model(key);
    std::pair<std::string, std::string> entry{key, ""};
    if (known != model.end()) entry = *known;
    switch (random.below(4)) {
      case 0:
        cache.erase(key);
        if (known != model.end()) model.erase(known);
        break;
      case 1:
        entry.second = std::string(random.below(400), 'r');
        cache.put(key, entry.second);
        if (known != model.end()) model.erase(known);
        model.push_front(entry);
        while (bytes() > bytes_max) model.pop_back();
        break;
      default:
        ASSERT_EQ(found(cache, key),
                  known == model.end() ? std::nullopt : std::optional{known->second});
        if (known == model.end()) break;
        model.erase(known);
        model.push_front(entry);
    }
    ASSERT_EQ(cache.bytes(), bytes());
    ASSERT_LE(cache.bytes(), bytes_max);
  }
}

}  // namespace
}  // namespace contactd::infra
