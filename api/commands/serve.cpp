#include <algorithm>
#include <fstream>
#include <sstream>

#include "api/admin_key.hpp"
#include "api/app.hpp"
#include "api/commands/byte_order_mark.hpp"
#include "api/commands/command_line.hpp"
#include "api/commands/options.hpp"
#include "api/config.hpp"
#include "api/limits.hpp"
#include "infra/webhook_secrets.hpp"

// `contactd serve`: its flags, each of which is a variable and a line of the config file too.
namespace contactd::api {
namespace {

struct Raw {
  ServeConfig serve;
  LogOptions log;
  std::string listen = "127.0.0.1:8080";
  std::string config_file;
  std::int64_t rate_window_s = 10;
  std::int64_t header_timeout_ms = 10'000;
  std::int64_t request_timeout_ms = 30'000;
  std::int64_t idle_timeout_ms = 60'000;
  std::int64_t drain_timeout_ms = 10'000;
  std::int64_t feed_heartbeat_ms = 15'000;
  std::int64_t feed_stall_ms = 10'000;
  std::int64_t webhook_timeout_ms = 15'000;
};

void add_limits(CLI::App& app, Raw& raw) {
  ServeConfig& serve = raw.serve;
  option(app, "io-threads", serve.io_threads,
         "Threads for connections; 0 is one for each core but the writer's")
      ->check(CLI::Range(0U, 256U));
  option(app, "max-connections", serve.connections_max,
         "Connections at once; more are answered 503")
      ->check(CLI::Range(1U, 1'000'000U));
  option(app, "max-connections-per-address", serve.connections_per_address_max,
         "Connections of one address (IPv6: of its first 64 bits) at once; more are answered 503; "
         "0 is "
         "no limit")
      ->check(CLI::Range(0U, 1'000'000U));
  option(app, "queue-max", serve.queue_commands_max,
         "Changes that may wait for the writer; more are answered 503")
      ->check(CLI::Range(1U, 1'000'000U));
  option(app, "rate-limit", serve.rate_limit,
         "Requests of one address (IPv6: of its first 64 bits) in one window; 0 is no limit")
      ->check(CLI::Range(0, 1'000'000'000));
  option(app, "rate-window-s", raw.rate_window_s, "The window, in seconds")
      ->check(CLI::Range(1, 86'400));
}

std::string check_admin_key(const std::string& key) {
  const auto problem = key.empty() ? std::nullopt : admin_key_problem(key);
  return problem ? "the admin key " + *problem : "";
}

std::string check_webhook_secret(const std::string& secret) {
  if (secret.empty() || secret.size() >= infra::WebhookSecrets::master_bytes_min) return {};
  return "it is too short; give at least " +
         std::to_string(infra::WebhookSecrets::master_bytes_min) +
         " characters that nobody can guess";
}

// Not by CLI11's needs(): that looks before the config file is read.
void require_whole_tls(const ServeConfig& serve) {
  if (serve.tls_certificate.empty() == serve.tls_key.empty()) return;
  const auto [given, missing] = serve.tls_key.empty() ? std::pair{"--tls-cert", "--tls-key"}
                                                      : std::pair{"--tls-key", "--tls-cert"};
  throw UsageError(std::string{given} + " needs " + missing + "; give both, or none");
}

void add_security(CLI::App& app, ServeConfig& serve) {
  option(app, "tls-cert", serve.tls_certificate,
         "Serve https with this certificate and its chain, in PEM; read again on SIGHUP");
  option(app, "tls-key", serve.tls_key, "The certificate's key, in PEM");
  flag(app, "core-dumps", serve.core_dumps,
       "Let a crash leave a core file, which has contact data and keys in it");
}

void add_timeouts(CLI::App& app, Raw& raw) {
  option(app, "header-timeout-ms", raw.header_timeout_ms,
         "Time from a request's first byte to the end of its header, and for a new connection's "
         "first byte")
      ->check(CLI::Range(1, 3'600'000));
  option(app, "request-timeout-ms", raw.request_timeout_ms,
         "Time from a request's first byte to its last, and for taking the answer")
      ->check(CLI::Range(1, 3'600'000));
  option(app, "idle-timeout-ms", raw.idle_timeout_ms,
         "Time that a connection may wait for its next request")
      ->check(CLI::Range(1, 3'600'000));
  option(app, "drain-timeout-ms", raw.drain_timeout_ms,
         "Time for requests under way to finish, at SIGTERM or SIGINT")
      ->check(CLI::Range(0, 3'600'000));
}

void add_webhooks(CLI::App& app, Raw& raw) {
  WebhookConfig& webhooks = raw.serve.webhooks;
  app.add_option("--webhook-secret", webhooks.secret,
                 "Master secret from which webhooks' signing secrets are derived; without one, "
                 "<data-dir>/webhook.key, made if absent")
      ->envname("CONTACTD_WEBHOOK_SECRET")
      ->check(check_webhook_secret);
  option(app, "webhook-secret-file", webhooks.secret_file, "The file that has the master secret");
  option(app, "webhook-timeout-ms", raw.webhook_timeout_ms,
         "Time for one delivery, from the look-up of its host to the answer's header")
      ->check(CLI::Range(1, 60'000));
  option(app, "webhook-retry-scale", webhooks.retry_scale,
         "Factor on the pauses between a delivery's attempts; below 1 for tests")
      ->check(CLI::Range(0.0, 1.0))
      ->check([](const std::string& text) {
        const bool number = text.find_first_not_of("0123456789.eE+-") == std::string::npos;
        return number ? std::string{} : "'" + text + "' is no number";
      });
  flag(app, "webhook-allow-http", webhooks.rules.allow_http, "Take webhooks whose URL isn't https");
  flag(app, "webhook-allow-private", webhooks.rules.allow_private,
       "Deliver to addresses that aren't the public internet's, such as 10.0.0.1");
}

void add_feed(CLI::App& app, Raw& raw) {
  ServeConfig& serve = raw.serve;
  option(app, "feed-heartbeat-ms", raw.feed_heartbeat_ms,
         "Time after which an event stream that has nothing to tell says that it is there")
      ->check(CLI::Range(1, 3'600'000));
  option(app, "feed-stall-ms", raw.feed_stall_ms,
         "Time that the client of an event stream may take to read; then it is cut off")
      ->check(CLI::Range(1, 3'600'000));
  option(app, "feed-max", serve.feed_followers_max,
         "Event streams and long polls at once; more are answered 503")
      ->check(CLI::Range(1U, 1'000'000U));
  option(app, "feed-max-per-key", serve.feed_followers_of_key_max,
         "Event streams and long polls of one key at once; more are answered 429")
      ->check(CLI::Range(1U, 1'000'000U));
}

void add_flags(CLI::App& app, Raw& raw) {
  ServeConfig& serve = raw.serve;
  option(app, "listen", raw.listen, "Address to serve at; port 0 picks a free one")
      ->check(CLI::Validator(check_address, "HOST:PORT"));
  add_log(app, raw.log);
  add_kafka_writing(app, raw.log.kafka);
  app.add_option("--admin-key", serve.admin_key,
                 "Key of the admin API; without one, <data-dir>/admin.key, made if absent")
      ->envname("CONTACTD_ADMIN_KEY")
      ->check(check_admin_key);
  add_security(app, serve);
  app.add_option("--backup-dir", serve.backup_dir,
                 "Where backups are made; without one, <data-dir>/backups")
      ->envname("CONTACTD_BACKUP_DIR");
  flag(app, "read-only", serve.read_only,
       "Only show the projections in --data-dir, such as `contactd replay` has made; no log is "
       "read or written, changes are answered 503");
  add_limits(app, raw);
  add_timeouts(app, raw);
  add_feed(app, raw);
  add_webhooks(app, raw);
  option(app, "log-level", serve.log_level, "Least severity of what is logged")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error"}));
  option(app, "log-format", serve.log_format, "Form of a log line, on standard error")
      ->check(CLI::IsMember({"plain", "json"}));
  app.add_option("--config", raw.config_file,
                 "A file of lines such as `listen = \"0.0.0.0:8080\"`, of the flags above")
      ->envname("CONTACTD_CONFIG")
      ->check(CLI::ExistingFile);
}

std::string read_file(const std::string& path) {
  std::ifstream stream{path};
  std::string text{std::istreambuf_iterator<char>{stream}, {}};
  if (text.starts_with(byte_order_mark)) text.erase(0, byte_order_mark.size());
  return text;
}

// The line that begins with the name; the first is 1.
std::size_t line_of(const std::string& text, const std::string& name) {
  std::istringstream lines{text};
  std::string line;
  for (std::size_t number = 1; std::getline(lines, line); ++number) {
    if (line.compare(std::min(line.find_first_not_of(" \t"), line.size()), name.size(), name) ==
        0) {
      return number;
    }
  }
  return 1;
}

std::string flags_of(const CLI::App& serve) {
  std::string names;
  for (const CLI::Option* flag : serve.get_options()) {
    const std::string name = flag->get_single_name();
    if (name == "config" || name == "help") continue;
    names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

// Gives each flag that neither the command line nor the environment has set its value from the
// file. By hand, because CLI11 reads a config file for the main command only. Throws CLI::Error,
// or UsageError with the line.
void apply_file(CLI::App& serve, const std::string& path) {
  const std::string text = read_file(path);
  std::istringstream stream{text};
  for (const CLI::ConfigItem& item : CLI::ConfigTOML{}.from_config(stream)) {
    if (!item.parents.empty()) {
      const std::string section = item.parents.front();
      throw UsageError(path + ", line " + std::to_string(line_of(text, '[' + section)) +
                       ": there are no sections, such as '" + section +
                       "'; give each flag by its name alone");
    }
    const std::string where = path + ", line " + std::to_string(line_of(text, item.name)) + ": ";
    CLI::Option* flag = serve.get_option_no_throw("--" + item.name);
    if (flag == nullptr || item.name == "config" || item.name == "help") {
      throw UsageError(where + "there is no flag '" + item.name + "'; there are " +
                       flags_of(serve));
    }
    if (flag->count() > 0) continue;
    try {
      flag->add_result(item.inputs);
      flag->run_callback();
    } catch (const CLI::Error& problem) {
      throw UsageError(where + problem.what());
    }
  }
}

ServeConfig finish(Raw& raw) {
  using std::chrono::milliseconds;
  ServeConfig serve = raw.serve;
  require_whole_tls(serve);
  std::string port;
  split_address(raw.listen, serve.host, port);
  serve.port = static_cast<std::uint16_t>(std::stoul(port));
  raw.log.finish();
  serve.data_dir = raw.log.data_dir;
  if (serve.backup_dir.empty()) serve.backup_dir = serve.data_dir / "backups";
  serve.log = raw.log.log;
  serve.kafka = raw.log.kafka;
  serve.rate_window = std::chrono::seconds{raw.rate_window_s};
  serve.header_timeout = milliseconds{raw.header_timeout_ms};
  serve.request_timeout = milliseconds{raw.request_timeout_ms};
  serve.idle_timeout = milliseconds{raw.idle_timeout_ms};
  serve.drain_timeout = milliseconds{raw.drain_timeout_ms};
  serve.feed_heartbeat = milliseconds{raw.feed_heartbeat_ms};
  serve.feed_stall = milliseconds{raw.feed_stall_ms};
  serve.webhooks.timeout = milliseconds{raw.webhook_timeout_ms};
  return serve;
}

}  // namespace

void add_serve(CommandLine& line) {
  const auto raw = std::make_shared<Raw>();
  CLI::App* app = line.app.add_subcommand("serve", "Run the server");
  add_flags(*app, *raw);
  app->callback([&line, app, raw] {
    if (!raw->config_file.empty()) apply_file(*app, raw->config_file);
    line.chosen = [config = finish(*raw)] { return serve(config); };
  });
}

}  // namespace contactd::api
