#pragma once

#include <signal.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/server_process.hpp"

namespace contactd::test {

// A server on a data directory that the test has made, on the embedded log or on none.
class DirectoryServer {
 public:
  explicit DirectoryServer(const std::filesystem::path& directory,
                           const std::vector<std::string>& flags = {})
      : process_(options(directory, flags)) {
    const auto line = process_.read_line(ServerProcess::start_wait_max);
    if (!line) throw std::runtime_error{read_whole_file(directory / "stderr.log")};
    port_ = static_cast<std::uint16_t>(std::stoi(line->substr(line->rfind(':') + 1)));
  }
  std::uint16_t port() const { return port_; }
  ExitStatus stop() {
    process_.send_signal(SIGTERM);
    return process_.wait(ServerProcess::stop_wait_max);
  }

 private:
  static ChildProcess::Options options(const std::filesystem::path& directory,
                                       const std::vector<std::string>& flags) {
    std::vector<std::string> arguments{contactd_binary(), "serve",      "--listen",
                                       "127.0.0.1:0",     "--data-dir", directory.string()};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return {arguments, {}, directory / "stderr.log", {}};
  }

  ChildProcess process_;
  std::uint16_t port_ = 0;
};

}  // namespace contactd::test
