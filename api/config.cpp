#include "api/config.hpp"

#include <CLI/CLI.hpp>
#include <fstream>

namespace contactd::api {
namespace {

struct Raw {
  ServeConfig serve;
  KeysConfig keys;
  std::string listen = "127.0.0.1:8080";
  std::string server = "http://127.0.0.1:8080";
  std::string admin_key_file;
  std::string scope = "contacts=write";
  std::vector<std::string> kafka_conf;
  std::int64_t rate_window_s = 10;
  std::int64_t header_timeout_ms = 10'000;
  std::int64_t request_timeout_ms = 30'000;
  std::int64_t idle_timeout_ms = 60'000;
  std::int64_t drain_timeout_ms = 10'000;
  std::int64_t feed_heartbeat_ms = 15'000;
  std::int64_t feed_stall_ms = 10'000;
};

// `HOST:PORT`, also with an IPv6 address in brackets.
bool split_address(const std::string& text, std::string& host, std::string& port) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  host = text.substr(0, colon);
  port = text.substr(colon + 1);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const bool digits = port.find_first_not_of("0123456789") == std::string::npos;
  return !host.empty() && !port.empty() && port.size() <= 5 && digits && std::stoul(port) <= 65535;
}

std::string check_address(const std::string& text) {
  std::string host;
  std::string port;
  if (split_address(text, host, port)) return {};
  return "'" + text + "' is no address; give HOST:PORT, such as 127.0.0.1:8080";
}

std::string check_server(const std::string& text) {
  constexpr std::string_view scheme = "http://";
  if (text.starts_with(scheme) && check_address(text.substr(scheme.size())).empty()) return {};
  return "'" + text + "' is no server; give http://HOST:PORT";
}

std::string check_scope(const std::string& text) {
  for (const char* known : {"contacts=none", "contacts=read", "contacts=write"}) {
    if (text == known) return {};
  }
  return "'" + text + "' is no scope; give contacts=none, contacts=read or contacts=write";
}

std::string check_kafka_conf(const std::string& text) {
  const auto property = infra::kafka_property(text);
  if (!property) return "give a property of librdkafka's as name=value";
  return infra::problem_with(*property).value_or("");
}

// --data-dir: CONTACTD_DATA_DIR
std::string variable_of(const std::string& name) {
  std::string variable = "CONTACTD_";
  for (const char c : name) {
    variable += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return variable;
}

// Adds an option that is a variable of the environment too.
template <class Value>
CLI::Option* option(CLI::App& app, const std::string& name, Value& value, const std::string& help) {
  return app.add_option("--" + name, value, help)
      ->envname(variable_of(name))
      ->capture_default_str();
}

template <class Value>
CLI::Option* flag(CLI::App& app, const std::string& name, Value& value, const std::string& help) {
  return app.add_flag("--" + name, value, help)->envname(variable_of(name));
}

void add_kafka(CLI::App& app, Raw& raw) {
  infra::KafkaConfig& kafka = raw.serve.kafka;
  constexpr std::uint32_t partitions_max = 1'000;
  constexpr std::uint32_t replicas_max = 15;
  option(app, "kafka-bootstrap", kafka.bootstrap, "Kafka brokers to start from: HOST:PORT,...");
  option(app, "kafka-topic", kafka.topic, "The topic that is the log");
  option(app, "kafka-namespace", kafka.name_space,
         "Name of the group of instances; the same for all that share the topic");
  option(app, "kafka-partitions", kafka.partitions, "Partitions of a topic that is created")
      ->check(CLI::Range(1U, partitions_max));
  option(app, "kafka-replication", kafka.replication,
         "Replicas of a topic that is created; of another, the least it must have")
      ->check(CLI::Range(1U, replicas_max));
  option(app, "kafka-min-insync", kafka.min_insync,
         "min.insync.replicas of a topic that is created; of another, the least it must have")
      ->check(CLI::Range(1U, replicas_max));
  flag(app, "kafka-create-topic", kafka.create_topic, "Create the topic if it doesn't exist");
  flag(app, "kafka-allow-unsafe", kafka.allow_unsafe,
       "Only warn of a topic whose settings may lose facts");
  app.add_option("--kafka-conf", raw.kafka_conf,
                 "A property of librdkafka's, name=value; may be repeated, or given one a line")
      ->envname("CONTACTD_KAFKA_CONF")
      ->delimiter('\n')
      ->check(CLI::Validator(check_kafka_conf, "NAME=VALUE"));
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

void add_serve(CLI::App& app, Raw& raw) {
  ServeConfig& serve = raw.serve;
  option(app, "listen", raw.listen, "Address to serve at; port 0 picks a free one")
      ->check(CLI::Validator(check_address, "HOST:PORT"));
  option(app, "data-dir", serve.data_dir, "Where the log and the projections are kept");
  option(app, "log", serve.log, "Which event log to write to")
      ->check(CLI::IsMember({"embedded", "kafka"}));
  add_kafka(app, raw);
  app.add_option("--admin-key", serve.admin_key,
                 "Key of the admin API; without one, <data-dir>/admin.key, made if absent")
      ->envname("CONTACTD_ADMIN_KEY");
  option(app, "io-threads", serve.io_threads,
         "Threads for connections; 0 is one for each core but the writer's")
      ->check(CLI::Range(0U, 256U));
  option(app, "max-connections", serve.connections_max,
         "Connections at once; more are answered 503")
      ->check(CLI::Range(1U, 1'000'000U));
  option(app, "queue-max", serve.queue_commands_max,
         "Changes that may wait for the writer; more are answered 503")
      ->check(CLI::Range(1U, 1'000'000U));
  option(app, "rate-limit", serve.rate_limit,
         "Requests of one address in one window; 0 is no limit")
      ->check(CLI::Range(0, 1'000'000'000));
  option(app, "rate-window-s", raw.rate_window_s, "The window, in seconds")
      ->check(CLI::Range(1, 86'400));
  option(app, "header-timeout-ms", raw.header_timeout_ms,
         "Time from a request's first byte to the end of its header")
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
  add_feed(app, raw);
  option(app, "log-level", serve.log_level, "Least severity of what is logged")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error"}));
  option(app, "log-format", serve.log_format, "Form of a log line, on standard error")
      ->check(CLI::IsMember({"plain", "json"}));
}

void add_server(CLI::App& app, Raw& raw) {
  option(app, "server", raw.server, "The running server")
      ->check(CLI::Validator(check_server, "URL"));
  app.add_option("--admin-key", raw.keys.admin_key, "The admin key")->envname("CONTACTD_ADMIN_KEY");
  app.add_option("--admin-key-file", raw.admin_key_file,
                 "The file that has the admin key, such as contactd-data/admin.key");
  app.add_flag("--json", raw.keys.json, "Print the server's JSON");
}

void add_keys(CLI::App& keys, Raw& raw) {
  keys.require_subcommand(1);
  CLI::App* create = keys.add_subcommand("create", "Make a key; it is shown this once");
  add_server(*create, raw);
  create->add_option("--organization", raw.keys.organization, "Whose contacts")->required();
  create->add_option("--name", raw.keys.name, "What the key is for")->required();
  create->add_option("--scope", raw.scope, "What the key may do")
      ->capture_default_str()
      ->check(CLI::Validator(check_scope, "contacts=none|read|write"));
  create->callback([&raw] { raw.keys.action = KeysConfig::Action::create; });

  CLI::App* list = keys.add_subcommand("list", "List the keys, without their secrets");
  add_server(*list, raw);
  list->add_option("--organization", raw.keys.organization, "Only this organization's");
  list->callback([&raw] { raw.keys.action = KeysConfig::Action::list; });

  CLI::App* revoke = keys.add_subcommand("revoke", "Revoke a key, from this moment");
  add_server(*revoke, raw);
  revoke->add_option("id", raw.keys.id, "The key's id")->required();
  revoke->callback([&raw] { raw.keys.action = KeysConfig::Action::revoke; });
}

// Gives each flag that neither the command line nor the environment has set its value from the
// file. By hand, because CLI11 reads a config file for the main command only. Throws CLI::Error.
void apply_file(CLI::App& serve, const std::string& path) {
  std::ifstream stream{path};
  for (const CLI::ConfigItem& item : CLI::ConfigTOML{}.from_config(stream)) {
    CLI::Option* flag =
        item.parents.empty() ? serve.get_option_no_throw("--" + item.name) : nullptr;
    if (flag == nullptr || item.name == "config" || item.name == "help") {
      throw CLI::ConfigError::Extras(item.fullname());
    }
    if (flag->count() > 0) continue;
    flag->add_result(item.inputs);
    flag->run_callback();
  }
}

ServeConfig finish_serve(const Raw& raw) {
  using std::chrono::milliseconds;
  ServeConfig serve = raw.serve;
  std::string port;
  split_address(raw.listen, serve.host, port);
  serve.port = static_cast<std::uint16_t>(std::stoul(port));
  for (const std::string& text : raw.kafka_conf) {
    serve.kafka.properties.push_back(*infra::kafka_property(text));
  }
  serve.rate_window = std::chrono::seconds{raw.rate_window_s};
  serve.header_timeout = milliseconds{raw.header_timeout_ms};
  serve.request_timeout = milliseconds{raw.request_timeout_ms};
  serve.idle_timeout = milliseconds{raw.idle_timeout_ms};
  serve.drain_timeout = milliseconds{raw.drain_timeout_ms};
  serve.feed_heartbeat = milliseconds{raw.feed_heartbeat_ms};
  serve.feed_stall = milliseconds{raw.feed_stall_ms};
  return serve;
}

std::variant<ServeConfig, KeysConfig, ExitNow> finish_keys(const Raw& raw) {
  KeysConfig keys = raw.keys;
  constexpr std::size_t scheme_length = std::string_view{"http://"}.size();
  split_address(raw.server.substr(scheme_length), keys.host, keys.port);
  keys.contacts_scope = raw.scope.substr(raw.scope.find('=') + 1);
  if (!raw.admin_key_file.empty()) {
    std::ifstream file{raw.admin_key_file};
    if (!std::getline(file, keys.admin_key)) {
      return ExitNow{2, "contactd: can't read the admin key from " + raw.admin_key_file + "\n"};
    }
  }
  if (keys.admin_key.empty()) {
    return ExitNow{2,
                   "contactd: give the admin key with --admin-key-file, or in "
                   "CONTACTD_ADMIN_KEY\n"};
  }
  return keys;
}

// The first line of what CLI11 says, as one sentence.
ExitNow usage_error(const CLI::Error& error) {
  std::string sentence = error.what();
  sentence = sentence.substr(0, sentence.find('\n'));
  return {2, "contactd: " + sentence + " (contactd --help lists the flags)\n"};
}

}  // namespace

std::variant<ServeConfig, KeysConfig, ExitNow> read_config(int argc, const char* const* argv) {
  Raw raw;
  CLI::App app{"contactd: contacts over REST, on a durable log of events"};
  app.set_version_flag("--version", "contactd " CONTACTD_VERSION);
  app.require_subcommand(1);
  CLI::App* serve = app.add_subcommand("serve", "Run the server");
  add_serve(*serve, raw);
  std::string config_file;
  serve
      ->add_option("--config", config_file,
                   "A file of lines such as `listen = \"0.0.0.0:8080\"`, of the flags above")
      ->envname("CONTACTD_CONFIG")
      ->check(CLI::ExistingFile);
  CLI::App* keys = app.add_subcommand("keys", "Make, list and revoke API keys");
  add_keys(*keys, raw);
  try {
    app.parse(argc, argv);
    if (!config_file.empty()) apply_file(*serve, config_file);
  } catch (const CLI::Success& done) {
    std::ostringstream output;
    app.exit(done, output, output);
    return ExitNow{0, output.str()};
  } catch (const CLI::Error& error) {
    return usage_error(error);
  }
  if (serve->parsed()) return finish_serve(raw);
  return finish_keys(raw);
}

}  // namespace contactd::api
