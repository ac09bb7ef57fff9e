#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/child_process.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/temporary_directory.hpp"

namespace contactd::test {

// `contactd serve` on Kafka before it is ready: where it listens, its log tells.
// Throws std::runtime_error where it doesn't listen.
class StartingServer {
 public:
  // Longer than anything takes on a machine that is busy; only a failure waits for it.
  static constexpr std::chrono::seconds start_wait_max{60};

  // Flags that name the log.
  explicit StartingServer(std::vector<std::string> flags);

  std::uint16_t port() const { return port_; }
  Response get(const std::string& path, const Headers& headers = {}) const;
  bool becomes_ready();
  // SIGTERM, and waits for the end, for far less than the server would wait for a broker.
  ExitStatus stop();
  std::string log() const;

 private:
  std::filesystem::path log_file() const { return directory_.path() / "stderr"; }

  TemporaryDirectory directory_;
  std::optional<ChildProcess> process_;
  std::uint16_t port_ = 0;
};

// Flags of a server that waits for a broker which never comes.
std::vector<std::string> flags_of_no_broker();

}  // namespace contactd::test
