#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>

#include "api/commands/command_line.hpp"
#include "infra/kafka_config.hpp"
#include "infra/webhook_url.hpp"

namespace contactd::api {

struct WebhookConfig {
  std::string secret;                 // the master secret
  std::filesystem::path secret_file;  // neither: kept in <data-dir>/webhook.key
  infra::WebhookUrlRules rules;
  double retry_scale = 1;
  std::chrono::milliseconds timeout{15'000};
};

// `contactd serve`: every member is a flag, a CONTACTD_* variable and a line of the config file.
struct ServeConfig {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;
  std::filesystem::path data_dir = "./contactd-data";
  std::string log = "embedded";  // or "kafka"
  infra::KafkaConfig kafka;
  std::filesystem::path backup_dir;       // empty: <data_dir>/backups
  bool read_only = false;                 // what is in data_dir is shown; there is no log
  std::string admin_key;                  // empty: kept in <data-dir>/admin.key
  std::filesystem::path tls_certificate;  // both or none
  std::filesystem::path tls_key;
  bool core_dumps = false;

  unsigned io_threads = 0;  // 0: one for each core but one, the writer's
  std::size_t connections_max = 10'000;
  std::size_t connections_per_address_max = 0;
  std::size_t queue_commands_max = 4096;
  std::uint64_t rate_limit = 0;
  std::chrono::seconds rate_window{10};

  std::chrono::milliseconds header_timeout{10'000};
  std::chrono::milliseconds request_timeout{30'000};
  std::chrono::milliseconds idle_timeout{60'000};
  std::chrono::milliseconds drain_timeout{10'000};

  std::chrono::milliseconds feed_heartbeat{15'000};
  std::chrono::milliseconds feed_stall{10'000};
  std::size_t feed_followers_max = 8'000;
  std::size_t feed_followers_of_key_max = 2'000;

  WebhookConfig webhooks;

  std::string log_level = "info";
  std::string log_format = "plain";
};

// The command line was answered by itself (--help, --version) or is wrong: what to print, where to,
// and the status to exit with.
struct ExitNow {
  int status = 0;
  std::string output;  // to standard output where status is 0, else to standard error
};

// Reads the command line, the environment and the config file; in this order of precedence. Gives
// back the command that was chosen.
std::variant<Run, ExitNow> read_config(int argc, const char* const* argv);

}  // namespace contactd::api
