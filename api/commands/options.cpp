#include "api/commands/options.hpp"

#include <cerrno>
#include <cstring>

#include "api/commands/command_line.hpp"
#include "api/key_file.hpp"
#include "domain/ids.hpp"
#include "infra/projections_dir.hpp"

namespace contactd::api {
namespace {

constexpr std::string_view http_scheme = "http://";
constexpr std::string_view https_scheme = "https://";

std::string without_last_slash(const std::string& url) {
  return url.ends_with('/') ? url.substr(0, url.size() - 1) : url;
}

std::string check_server(const std::string& text) {
  const std::string url = without_last_slash(text);
  for (const std::string_view scheme : {http_scheme, https_scheme}) {
    if (url.starts_with(scheme) && check_address(url.substr(scheme.size())).empty()) return {};
  }
  return "'" + text + "' is no server; give http://HOST:PORT or https://HOST:PORT";
}

std::string check_kafka_conf(const std::string& text) {
  const auto property = infra::kafka_property(text);
  if (!property) return "give a property of librdkafka's as name=value";
  return infra::problem_with(*property).value_or("");
}

void add_url(CLI::App& app, ServerOptions& options) {
  app.add_option("--url,--server", options.url, "The running server")
      ->envname("CONTACTD_SERVER")
      ->capture_default_str()
      ->check(CLI::Validator(check_server, "URL"));
  app.add_option(
         "--ca-file", options.ca_file,
         "Whose certificates to trust of an https server, in PEM; else those the system does")
      ->envname("CONTACTD_CA_FILE");
}

}  // namespace

std::string variable_of(const std::string& flag) {
  std::string variable = "CONTACTD_";
  for (const char c : flag) {
    variable += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return variable;
}

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

std::string check_contact_id(const std::string& text) {
  if (domain::ContactId::parse(text)) return {};
  return "'" + text + "' is no contact id, which has " + std::to_string(domain::ContactId::length) +
         " letters and digits";
}

std::string check_organization(const std::string& text) {
  if (domain::OrganizationId::parse(text)) return {};
  return "'" + text + "' is no organization, which has 1 to " +
         std::to_string(domain::OrganizationId::length_max) + " of A-Z, a-z, 0-9, _ and -";
}

void add_log(CLI::App& app, LogOptions& options) {
  option(app, "data-dir", options.data_dir, "Where the log and the projections are kept");
  option(app, "log", options.log, "Which event log it is")
      ->check(CLI::IsMember({"embedded", "kafka"}));
  option(app, "kafka-bootstrap", options.kafka.bootstrap,
         "Kafka brokers to start from: HOST:PORT,...");
  option(app, "kafka-topic", options.kafka.topic, "The topic that is the log");
  app.add_option("--kafka-conf", options.kafka_conf,
                 "A property of librdkafka's, name=value; may be repeated, or given one a line")
      ->envname("CONTACTD_KAFKA_CONF")
      ->delimiter('\n')
      ->check(CLI::Validator(check_kafka_conf, "NAME=VALUE"));
}

void add_kafka_writing(CLI::App& app, infra::KafkaConfig& kafka) {
  constexpr std::uint32_t partitions_max = 1'000;
  constexpr std::uint32_t replicas_max = 15;
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
}

void require_outside_of_others(const std::filesystem::path& directory) {
  std::error_code unknown;  // whoever makes it says what is wrong with it
  auto at = std::filesystem::weakly_canonical(std::filesystem::absolute(directory), unknown);
  while (at.has_relative_path()) {
    at = at.parent_path();
    const bool backup = std::filesystem::exists(at / "manifest.json", unknown);
    for (const auto& database : {infra::projections_dir(at), at / "log"}) {
      if (!std::filesystem::exists(database / "CURRENT", unknown)) continue;
      throw UsageError(directory.string() + " is inside " + at.string() + ", which is a " +
                       (backup ? "backup" : "data directory") + "; give a directory elsewhere");
    }
  }
}

void LogOptions::finish() {
  for (const std::string& text : kafka_conf) {
    kafka.properties.push_back(*infra::kafka_property(text));
  }
}

void add_admin_server(CLI::App& app, ServerOptions& options) {
  add_url(app, options);
  options.key_flag = "the admin key with --admin-key-file, or in CONTACTD_ADMIN_KEY";
  app.add_option("--admin-key", options.key, "The admin key")->envname("CONTACTD_ADMIN_KEY");
  app.add_option("--admin-key-file", options.key_file,
                 "The file that has the admin key, such as contactd-data/admin.key");
}

void add_server(CLI::App& app, ServerOptions& options) {
  add_url(app, options);
  options.key_flag = "an API key of the organization with --key-file, or in CONTACTD_KEY";
  app.add_option("--key", options.key, "An API key of the organization")->envname("CONTACTD_KEY");
  app.add_option("--key-file", options.key_file, "A file whose first line is the API key");
}

void ServerOptions::finish() {
  url = without_last_slash(url);
  tls = url.starts_with(https_scheme);
  split_address(url.substr((tls ? https_scheme : http_scheme).size()), host, port);
  if (!key_file.empty()) {
    errno = 0;
    key = first_line_of(key_file);
    if (key.empty()) {
      const std::string why = errno == 0 ? "it is empty" : std::strerror(errno);
      throw UsageError("can't read a key from the first line of " + key_file + ": " + why);
    }
  }
  if (key.empty()) throw UsageError("give " + key_flag);
}

void add_json(CLI::App& app, bool& json, const std::string& help) {
  app.add_flag("--json", json, help);
}

}  // namespace contactd::api
