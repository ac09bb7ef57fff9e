#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "infra/kafka_config.hpp"

// Flags that several commands have.
namespace contactd::api {

// --data-dir: CONTACTD_DATA_DIR
std::string variable_of(const std::string& flag);

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

// `HOST:PORT`, also with an IPv6 address in brackets.
bool split_address(const std::string& text, std::string& host, std::string& port);
// A sentence if it is none, else nothing.
std::string check_address(const std::string& text);
std::string check_contact_id(const std::string& text);
std::string check_organization(const std::string& text);

// Which log, for commands that read it without a server.
struct LogOptions {
  std::filesystem::path data_dir = "./contactd-data";
  std::string log = "embedded";  // or "kafka"
  infra::KafkaConfig kafka;      // finish() adds the properties
  std::vector<std::string> kafka_conf;

  bool on_kafka() const { return log == "kafka"; }
  void finish();
};
void add_log(CLI::App& app, LogOptions& options);
// A directory that is to be made isn't inside a backup or a data directory, which would no longer
// be as contactd has made them. Throws UsageError.
void require_outside_of_others(const std::filesystem::path& directory);
// The further flags of one who writes to Kafka.
void add_kafka_writing(CLI::App& app, infra::KafkaConfig& kafka);

// A running server, for commands that are its clients.
struct ServerOptions {
  std::string url = "http://127.0.0.1:8080";
  std::string key;
  std::string key_file;
  std::string ca_file;  // of an https server; empty: the system's authorities

  // Where it is; once finish() was called.
  bool tls = false;
  std::string host;
  std::string port;

  // Reads the key's file, if one was given. Throws UsageError if it can't be read, or if there is
  // no key.
  void finish();
  // Which one is wanted, as the flags name it.
  std::string key_flag;
};
// The server's address, and --admin-key or --key.
void add_admin_server(CLI::App& app, ServerOptions& options);
void add_server(CLI::App& app, ServerOptions& options);

void add_json(CLI::App& app, bool& json, const std::string& help);

}  // namespace contactd::api
