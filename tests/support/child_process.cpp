#include "tests/support/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <iterator>
#include <ostream>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "tests/support/temporary_directory.hpp"

namespace contactd::test {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr int exit_code_not_started = 127;

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error{errno, std::generic_category(), what};
}

int milliseconds_left(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
  return left.count() > 0 ? static_cast<int>(left.count()) : 0;
}

std::vector<std::string> environment_with(const std::map<std::string, std::string>& added) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text{*entry};
    const bool replaced = added.contains(std::string{text.substr(0, text.find('='))});
    if (!text.starts_with("CONTACTD_") && !replaced) all.emplace_back(text);
  }
  for (const auto& [name, value] : added) all.push_back(name + '=' + value);
  return all;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// In the child, after fork(): only what is async-signal-safe.
[[noreturn]] void become(char* const* arguments, char* const* environment, const char* directory,
                         int out, int err, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int in = ::open("/dev/null", O_RDONLY);
  const bool ready = ::getppid() == parent && in >= 0 && ::dup2(in, STDIN_FILENO) >= 0 &&
                     ::dup2(out, STDOUT_FILENO) >= 0 && ::dup2(err, STDERR_FILENO) >= 0 &&
                     (directory == nullptr || ::chdir(directory) == 0);
  if (ready) ::execve(arguments[0], arguments, environment);
  ::_exit(exit_code_not_started);
}

}  // namespace

std::string to_string(const ExitStatus& status) {
  if (status.signal) return "killed by signal " + std::to_string(*status.signal);
  return "exit code " + (status.code ? std::to_string(*status.code) : "unknown");
}

std::ostream& operator<<(std::ostream& out, const ExitStatus& status) {
  return out << to_string(status);
}

ChildProcess::ChildProcess(const Options& options) {
  std::vector<std::string> arguments = options.arguments;
  std::vector<std::string> environment = environment_with(options.environment);
  const std::vector<char*> argv = pointers_to(arguments);
  const std::vector<char*> envp = pointers_to(environment);
  const std::string directory = options.directory.string();
  const std::string error_file = options.stderr_file.string();

  const int err = ::open(error_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (err < 0) fail("open " + error_file);
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) fail("pipe2");
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) fail("fork");
  if (pid_ == 0) {
    become(argv.data(), envp.data(), directory.empty() ? nullptr : directory.c_str(), pipe[1], err,
           parent);
  }
  ::close(err);
  ::close(pipe[1]);
  stdout_ = pipe[0];
}

ChildProcess::~ChildProcess() {
  if (running()) {
    ::kill(pid_, SIGKILL);
    reap();
  }
  ::close(stdout_);
}

void ChildProcess::send_signal(int number) const {
  if (!running()) throw std::runtime_error{"a signal for a process that has ended"};
  if (::kill(pid_, number) != 0) fail("kill");
}

bool ChildProcess::read_some(Clock::time_point deadline) {
  pollfd readable{stdout_, POLLIN, 0};
  const int ready = ::poll(&readable, 1, milliseconds_left(deadline));
  if (ready < 0 && errno != EINTR) fail("poll");
  if (ready == 0) throw std::runtime_error{"waited too long for a program's output or end"};
  if (ready < 0) return true;
  std::array<char, 4096> bytes{};
  const ssize_t size = ::read(stdout_, bytes.data(), bytes.size());
  if (size < 0 && errno != EINTR) fail("read");
  if (size > 0) output_.append(bytes.data(), static_cast<std::size_t>(size));
  return size != 0;
}

std::optional<std::string> ChildProcess::read_line(milliseconds wait_max) {
  const auto deadline = Clock::now() + wait_max;
  for (;;) {
    const std::size_t end = output_.find('\n', lines_end_);
    if (end != std::string::npos) {
      std::string line = output_.substr(lines_end_, end - lines_end_);
      lines_end_ = end + 1;
      return line;
    }
    if (!read_some(deadline)) return std::nullopt;
  }
}

ExitStatus ChildProcess::wait(milliseconds wait_max) {
  const auto deadline = Clock::now() + wait_max;
  // The output ends with the process, which makes a wait with a limit out of a read with one.
  while (running() && read_some(deadline)) {
  }
  reap();
  return *status_;
}

void ChildProcess::reap() {
  if (status_) return;
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0) {
    if (errno != EINTR) fail("waitpid");
  }
  status_ = WIFSIGNALED(status) ? killed_by(WTERMSIG(status)) : exited(WEXITSTATUS(status));
}

std::size_t ChildProcess::resident_bytes() const {
  std::ifstream file{"/proc/" + std::to_string(pid_) + "/statm"};
  std::size_t total_pages = 0;
  std::size_t resident_pages = 0;
  if (!(file >> total_pages >> resident_pages)) throw std::runtime_error{"no /proc/PID/statm"};
  return resident_pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

Finished run_program(std::vector<std::string> arguments,
                     std::map<std::string, std::string> environment,
                     std::filesystem::path directory, milliseconds wait_max) {
  const TemporaryDirectory scratch;
  const std::filesystem::path err = scratch.path() / "stderr";
  ChildProcess process{{std::move(arguments), std::move(environment), err, std::move(directory)}};
  ExitStatus status;
  try {
    status = process.wait(wait_max);
  } catch (const std::runtime_error&) {
    process.send_signal(SIGKILL);
    status = process.wait(program_wait_max);
  }
  return {status, process.output(), read_whole_file(err)};
}

std::string read_whole_file(const std::filesystem::path& path) {
  std::ifstream file{path, std::ios::binary};
  if (!file) throw std::runtime_error{"can't read " + path.string()};
  return {std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
}

}  // namespace contactd::test
