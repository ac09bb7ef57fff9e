#include "tests/support/starting_server.hpp"

#include <csignal>
#include <stdexcept>
#include <string_view>

#include "tests/support/eventually.hpp"
#include "tests/support/server_process.hpp"

namespace contactd::test {
namespace {

constexpr std::chrono::seconds starting_stop_wait_max{15};
constexpr std::string_view listening = "listening on http://127.0.0.1:";

}  // namespace

StartingServer::StartingServer(std::vector<std::string> flags) {
  flags.insert(flags.begin(), {contactd_binary(), "serve", "--listen", "127.0.0.1:0", "--data-dir",
                               (directory_.path() / "data").string()});
  process_.emplace(ChildProcess::Options{std::move(flags), {}, log_file(), {}});
  const auto listens = [&] { return log().find(listening) != std::string::npos; };
  if (!eventually(listens, start_wait_max)) {
    throw std::runtime_error{"it doesn't listen: " + log()};
  }
  const std::string text = log();
  port_ =
      static_cast<std::uint16_t>(std::stoul(text.substr(text.find(listening) + listening.size())));
}

Response StartingServer::get(const std::string& path, const Headers& headers) const {
  return HttpClient{port_}.request("GET", path, headers);
}

bool StartingServer::becomes_ready() {
  return process_->read_line(start_wait_max).value_or("").starts_with("contactd ready");
}

ExitStatus StartingServer::stop() {
  process_->send_signal(SIGTERM);
  return process_->wait(starting_stop_wait_max);
}

std::string StartingServer::log() const { return read_whole_file(log_file()); }

std::vector<std::string> flags_of_no_broker() {
  return {"--log", "kafka", "--kafka-bootstrap", "127.0.0.1:1"};
}

}  // namespace contactd::test
