#pragma once

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>

// Finds the test material that other projects wrote; tests read it from where it is.
namespace contactd::test {

inline std::filesystem::path suites_dir() {
  const char* const given = std::getenv("CONTACTD_SUITES");
  return given != nullptr ? given : CONTACTD_SUITES_DEFAULT;
}

// Where the suite's folder or file is; says on standard output that it didn't run where it isn't
// there, and returns an empty path.
inline std::filesystem::path find_suite(const std::string& name) {
  std::filesystem::path path = suites_dir() / name;
  if (!suites_dir().empty() && std::filesystem::exists(path)) return path;
  std::cout << "SUITE NOT RUN: " << name << ": it isn't in "
            << (suites_dir().empty() ? "any folder (CONTACTD_SUITES is empty)"
                                     : "'" + suites_dir().string() + "'")
            << '\n';
  return {};
}

}  // namespace contactd::test

// For GoogleTest's tests: skips the one that wants the suite at `path`, as find_suite() gave it,
// where it isn't there. On a machine without the suites that is as it should be; in CI a skipped
// test is a failure.
#define CONTACTD_NEEDS_SUITE(path)           \
  if ((path).empty()) {                      \
    GTEST_SKIP() << "the suite isn't there"; \
  }
