#include "tests/support/server_process.hpp"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "tests/support/canaries.hpp"
#include "tests/support/kafka_broker.hpp"

namespace contactd::test {
namespace {

constexpr std::string_view ready_prefix = "contactd ready ";
constexpr std::string_view host = "127.0.0.1:";
constexpr std::size_t log_bytes_shown = 4000;
constexpr int partitions_on_kafka = 2;

struct Address {
  std::string scheme;
  std::uint16_t port = 0;
};

std::optional<Address> address_in(std::string_view line) {
  for (const std::string scheme : {"http://", "https://"}) {
    const std::string prefix = std::string{ready_prefix} + scheme + std::string{host};
    if (!line.starts_with(prefix)) continue;
    line.remove_prefix(prefix.size());
    Address address{scheme, 0};
    const auto [end, ec] = std::from_chars(line.data(), line.data() + line.size(), address.port);
    if (ec == std::errc{} && end == line.data() + line.size() && address.port > 0) return address;
  }
  return std::nullopt;
}

std::string end_of(const std::string& text) {
  return text.size() <= log_bytes_shown ? text : text.substr(text.size() - log_bytes_shown);
}

// See ServerProcess.
std::vector<std::string> flags_of_log(const std::vector<std::string>& given) {
  if (!tests_run_on_kafka() || std::ranges::find(given, "--log") != given.end()) return {};
  KafkaBroker* const broker = shared_kafka_broker();
  if (broker == nullptr) throw std::runtime_error{"no Kafka broker can be started"};
  static std::atomic<int> count = 0;
  return broker->serve_flags("server-" + std::to_string(++count), partitions_on_kafka);
}

}  // namespace

bool tests_run_on_kafka() {
  const char* const log = std::getenv("CONTACTD_TEST_LOG");
  return log != nullptr && std::string_view{log} == "kafka";
}

std::string contactd_binary() {
  const char* const path = std::getenv("CONTACTD_BINARY");
  return path != nullptr && *path != '\0' ? path : CONTACTD_BINARY_DEFAULT;
}

ServerProcess::ServerProcess(ServerSettings settings)
    : settings_(std::move(settings)), log_flags_(flags_of_log(settings_.flags)) {
  start();
}

ServerProcess::~ServerProcess() {
  process_.reset();
  expect_no_canary(log(), "the log of a server");
}

void ServerProcess::start() {
  std::vector<std::string> arguments = {contactd_binary(), "serve",      "--listen",
                                        "127.0.0.1:0",     "--data-dir", data_dir_.string()};
  arguments.insert(arguments.end(), log_flags_.begin(), log_flags_.end());
  arguments.insert(arguments.end(), settings_.flags.begin(), settings_.flags.end());
  process_ = std::make_unique<ChildProcess>(
      ChildProcess::Options{std::move(arguments), settings_.environment, log_file_, {}});
  const auto line = process_->read_line(start_wait_max);
  const auto address = line ? address_in(*line) : std::nullopt;
  if (!address) {
    throw std::runtime_error{"the server didn't say that it is ready, but: " +
                             line.value_or("nothing") + "\n" + end_of(log())};
  }
  scheme_ = address->scheme;
  port_ = address->port;
}

void ServerProcess::start(ServerSettings settings) {
  settings_ = std::move(settings);
  start();
}

std::vector<std::string> ServerProcess::reading_flags() const {
  std::vector<std::string> flags = {"--data-dir", data_dir_.string()};
  for (const std::vector<std::string>& given : {log_flags_, settings_.flags}) {
    for (std::size_t i = 0; i + 1 < given.size(); ++i) {
      if (given[i] != "--log" && given[i] != "--kafka-bootstrap" && given[i] != "--kafka-topic") {
        continue;
      }
      flags.insert(flags.end(), {given[i], given[i + 1]});
    }
  }
  return flags;
}

std::string ServerProcess::admin_key() const {
  const auto given = settings_.environment.find("CONTACTD_ADMIN_KEY");
  if (given != settings_.environment.end()) return given->second;
  std::string key = read_whole_file(data_dir_ / "admin.key");
  while (!key.empty() && key.back() == '\n') key.pop_back();
  return key;
}

ExitStatus ServerProcess::stop() {
  process_->send_signal(SIGTERM);
  return wait();
}

void ServerProcess::kill() {
  process_->send_signal(SIGKILL);
  wait();
}

}  // namespace contactd::test
