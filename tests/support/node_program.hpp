#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/child_process.hpp"

namespace contactd::test {

// A program on Node whose folder has a package.json and a package-lock.json: copied to a folder of
// the build, where what is locked is installed once, by npm.
class NodeProgram {
 public:
  // `name` is that of a folder of tests/.
  explicit NodeProgram(const std::string& name);

  // Why it can't be run here, if so; said once on standard output.
  const std::optional<std::string>& why_unavailable() const { return why_unavailable_; }

  Finished run(const std::string& script, std::vector<std::string> arguments) const;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::optional<std::string> install(const std::filesystem::path& source) const;

  const std::filesystem::path folder_;
  std::optional<std::string> why_unavailable_;
};

}  // namespace contactd::test
