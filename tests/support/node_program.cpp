#include "tests/support/node_program.hpp"

#include <chrono>
#include <iostream>

namespace contactd::test {
namespace {

namespace fs = std::filesystem;

constexpr auto env = "/usr/bin/env";
constexpr std::chrono::milliseconds install_wait_max{120'000};

}  // namespace

NodeProgram::NodeProgram(const std::string& name)
    : folder_(fs::path{CONTACTD_NODE_FOLDER} / name),
      why_unavailable_(install(fs::path{CONTACTD_TESTS_FOLDER} / name)) {
  if (why_unavailable_) std::cout << "SUITE NOT RUN: " << name << ": " << *why_unavailable_ << '\n';
}

std::optional<std::string> NodeProgram::install(const fs::path& source) const {
  if (run_program({env, "node", "--version"}).status != exited(0)) {
    return "Node is missing: apt-get install nodejs npm";
  }
  fs::create_directories(folder_);
  const fs::path done = folder_ / "installed-lock.json";
  const std::string lock = read_whole_file(source / "package-lock.json");
  for (const auto& entry : fs::directory_iterator{source}) {
    fs::copy_file(entry.path(), folder_ / entry.path().filename(),
                  fs::copy_options::overwrite_existing);
  }
  if (fs::exists(done) && read_whole_file(done) == lock) return std::nullopt;
  const Finished installed =
      run_program({env, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"}, {}, folder_,
                  install_wait_max);
  if (installed.status != exited(0)) return "npm could not install its packages: " + installed.err;
  fs::copy_file(source / "package-lock.json", done, fs::copy_options::overwrite_existing);
  return std::nullopt;
}

Finished NodeProgram::run(const std::string& script, std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), {env, "node", script});
  return run_program(std::move(arguments), {}, folder_);
}

}  // namespace contactd::test
