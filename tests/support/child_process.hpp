#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace contactd::test {

// How a process ended: by itself with a code, or by a signal.
struct ExitStatus {
  std::optional<int> code;
  std::optional<int> signal;

  bool operator==(const ExitStatus&) const = default;
};
inline ExitStatus exited(int code) { return {code, std::nullopt}; }
inline ExitStatus killed_by(int signal) { return {std::nullopt, signal}; }
std::string to_string(const ExitStatus& status);
std::ostream& operator<<(std::ostream& out, const ExitStatus& status);

// A program that a test starts. Its standard output is read through here; its standard error goes
// to a file. It dies with this object, and also when the thread that started it does, so start
// programs from threads that outlive them.
// Throws std::runtime_error on whatever shouldn't be, such as a wait past its limit.
class ChildProcess {
 public:
  struct Options {
    std::vector<std::string> arguments;              // the first is the program's path
    std::map<std::string, std::string> environment;  // added to this process's
    std::filesystem::path stderr_file;               // appended to
    std::filesystem::path directory;                 // where it runs; here, if empty
  };

  // The child inherits this process's environment less its CONTACTD_* variables, so that a test
  // says itself all that counts.
  explicit ChildProcess(const Options& options);
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  bool running() const { return !status_; }
  void send_signal(int number) const;

  // The next line of standard output without its line break; nothing where the output ended first.
  std::optional<std::string> read_line(std::chrono::milliseconds wait_max);
  // Waits for the end of the output and of the process.
  ExitStatus wait(std::chrono::milliseconds wait_max);
  // All of standard output that has been read so far.
  const std::string& output() const { return output_; }

  // The resident memory. REQUIRES: running().
  std::size_t resident_bytes() const;

 private:
  // Returns false at the end of the output.
  bool read_some(std::chrono::steady_clock::time_point deadline);
  void reap();

  pid_t pid_ = -1;
  int stdout_ = -1;
  std::optional<ExitStatus> status_;
  std::string output_;
  std::size_t lines_end_ = 0;  // of what read_line() has given out
};

// What a program said that has run to its end.
struct Finished {
  ExitStatus status;
  std::string out;
  std::string err;
};
inline constexpr std::chrono::milliseconds program_wait_max{20'000};
// Kills the program where it runs on and on, which the status then tells.
Finished run_program(std::vector<std::string> arguments,
                     std::map<std::string, std::string> environment = {},
                     std::filesystem::path directory = {},
                     std::chrono::milliseconds wait_max = program_wait_max);

std::string read_whole_file(const std::filesystem::path& path);

}  // namespace contactd::test
