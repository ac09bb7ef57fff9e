#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/child_process.hpp"
#include "tests/support/temporary_directory.hpp"

namespace contactd::test {

// The binary under test: CONTACTD_BINARY, or else the one of this build.
std::string contactd_binary();
// Whether CONTACTD_TEST_LOG asks for servers on Kafka.
bool tests_run_on_kafka();

struct ServerSettings {
  std::vector<std::string> flags;                  // of `contactd serve`, after the usual ones
  std::map<std::string, std::string> environment;  // such as CONTACTD_ADMIN_KEY
};

// The real server in a process of its own, on a free port of 127.0.0.1 and a data directory that
// is removed with this object. Several starts may follow each other on the same data.
// With CONTACTD_TEST_LOG=kafka in the environment, its log is a topic of its own on a broker that
// the whole program shares, unless the settings say which log.
// Throws std::runtime_error, with the server's log in it, where it doesn't do as it should.
// At its end, what it has logged is searched for what must not be there (canaries.hpp).
class ServerProcess {
 public:
  static constexpr std::chrono::milliseconds start_wait_max{60'000};
  static constexpr std::chrono::milliseconds stop_wait_max{60'000};

  // Starts the server, and returns when it says that it is ready.
  explicit ServerProcess(ServerSettings settings = {});
  ~ServerProcess();

  std::uint16_t port() const { return port_; }
  std::string url() const { return scheme_ + "127.0.0.1:" + std::to_string(port_); }
  pid_t pid() const { return process_->pid(); }
  const std::filesystem::path& data_dir() const { return data_dir_; }
  // Flags by which a command reads this server's log.
  std::vector<std::string> reading_flags() const;
  // The one from the environment that it was given, or the one that it made.
  std::string admin_key() const;

  // What came on standard error, of all starts.
  std::string log() const { return read_whole_file(log_file_); }
  // What came on standard output since the last start.
  const std::string& output() const { return process_->output(); }
  std::size_t resident_bytes() const { return process_->resident_bytes(); }

  // SIGTERM, and waits for the end.
  ExitStatus stop();
  // Only sends the signal; see wait().
  void send_signal(int number) const { process_->send_signal(number); }
  ExitStatus wait() { return process_->wait(stop_wait_max); }
  // SIGKILL, in the middle of whatever it does.
  void kill();
  // Starts again on the same data, on another port. REQUIRES: it was stopped or killed.
  void start();
  // With other settings from here on.
  void start(ServerSettings settings);

 private:
  ServerSettings settings_;
  std::vector<std::string> log_flags_;
  TemporaryDirectory directory_;
  std::filesystem::path data_dir_ = directory_.path() / "data";
  std::filesystem::path log_file_ = directory_.path() / "stderr.log";
  std::unique_ptr<ChildProcess> process_;
  std::string scheme_;  // "http://" or "https://", as the ready line has it
  std::uint16_t port_ = 0;
};

}  // namespace contactd::test
