#include "tests/fuzz/targets.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/support/suites.hpp"

namespace contactd::fuzz {

namespace fs = std::filesystem;

void require(bool holds, const char* rule) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", rule);
  std::abort();
}

std::vector<std::string> files_below(const std::string& directory) {
  std::vector<fs::path> paths;
  std::error_code missing;
  for (const auto& entry : fs::recursive_directory_iterator{directory, missing}) {
    if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> contents;
  contents.reserve(paths.size());
  for (const fs::path& path : paths) {
    std::ifstream stream{path, std::ios::binary};
    contents.emplace_back(std::istreambuf_iterator<char>{stream}, std::istreambuf_iterator<char>{});
  }
  return contents;
}

std::vector<std::string> files_of_suite(const std::string& name) {
  const fs::path suite = test::find_suite(name);
  return suite.empty() ? std::vector<std::string>{} : files_below(suite.string());
}

}  // namespace contactd::fuzz
