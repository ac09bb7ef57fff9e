#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/domain/samples.hpp"
#include "tests/fuzz/targets.hpp"

// The fuzz targets without libFuzzer: their seeds, and a fixed number of random changes of them.
// A rule that is broken stops the program; its message, and the seed above it, say which.
namespace contactd::fuzz {
namespace {

using test::Random;

std::size_t runs() {
  const char* const given = std::getenv("CONTACTD_FUZZ_RUNS");
  return given == nullptr ? 3'000 : static_cast<std::size_t>(std::stoul(given));
}

// A few of: a byte changed, a piece cut out, doubled, or taken from another seed.
std::string changed(std::string input, const std::vector<std::string>& seeds, Random& random) {
  for (std::size_t changes = 1 + random.below(6); changes > 0; --changes) {
    const std::size_t at = random.below(input.size() + 1);
    const std::size_t length = std::min(input.size() - at, random.below(20));
    switch (random.below(4)) {
      case 0:
        if (at < input.size()) input[at] = static_cast<char>(random.below(256));
        break;
      case 1:
        input.erase(at, length);
        break;
      case 2:
        input.insert(at, input.substr(at, length));
        break;
      default: {
        const std::string& other = seeds[random.below(seeds.size())];
        const std::size_t from = random.below(other.size() + 1);
        input.insert(at, other.substr(from, random.below(40)));
      }
    }
  }
  return input;
}

class Fuzz : public ::testing::TestWithParam<Target> {};

TEST_P(Fuzz, NoInputBreaksARule) {
  const std::uint64_t seed = test::test_seed();
  SCOPED_TRACE(test::seed_note(seed));
  std::cout << test::seed_note(seed) << std::endl;
  Random random{seed};
  const std::vector<std::string> seeds = GetParam().seeds();
  ASSERT_FALSE(seeds.empty());
  GetParam().run({});
  for (const std::string& input : seeds) GetParam().run(input);
  for (std::size_t i = 0; i < runs(); ++i) {
    GetParam().run(changed(seeds[random.below(seeds.size())], seeds, random));
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, Fuzz, ::testing::ValuesIn(targets),
                         [](const auto& one) { return std::string{one.param.name}; });

}  // namespace
}  // namespace contactd::fuzz
