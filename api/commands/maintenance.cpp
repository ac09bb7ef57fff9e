#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "api/commands/command_line.hpp"
#include "api/commands/http_client.hpp"
#include "api/commands/options.hpp"
#include "api/commands/progress.hpp"
#include "infra/backup.hpp"
#include "infra/errors.hpp"
#include "infra/log_identity.hpp"

// `contactd backup`, `restore` and `rebuild`.
namespace contactd::api {
namespace {

namespace json = boost::json;

constexpr std::chrono::milliseconds state_look_interval{100};

struct MaintenanceConfig {
  ServerOptions server;
  std::string name;
  std::filesystem::path from;
  std::filesystem::path data_dir;
  bool json = false;
};

json::value data_of(const Answer& answer) {
  if (answer.status >= 300) throw ServerRefused(answer);
  return json::parse(answer.body).at("data");
}

// Starts a piece of work on the server, and tells how far it is until its end.
int start_and_wait(const MaintenanceConfig& config, const std::string& what,
                   const std::string& target, const std::string& body) {
  HttpClient client{config.server};
  json::value status = data_of(client.ask("POST", target, body));
  const json::value started = status.at("started_at");
  Progress progress{Progress::show_for(config.json), what,
                    json::value_to<std::string>(status.at("unit")), 0};
  const auto done = [&] { return status.at("done").to_number<std::uint64_t>(); };
  while (status.at("state") == "running") {
    std::this_thread::sleep_for(state_look_interval);
    status = data_of(client.ask_patiently("GET", target));
    if (status.at("started_at") != started) {
      throw infra::Unavailable("it isn't known how the " + what +
                               " ended: the server has begun another since, or was started anew; "
                               "look for it in the server's log");
    }
    progress.set_total(status.at("total").to_number<std::uint64_t>());
    progress.at(done());
  }
  progress.finish(done());
  if (config.json) std::printf("%s\n", json::serialize(status).c_str());
  if (status.at("state") == "done") return exit_done;
  if (status.at("error").is_string()) {
    std::fprintf(stderr, "contactd: %s\n", status.at("error").as_string().c_str());
  }
  return exit_failed;
}

int back_up(const MaintenanceConfig& config) {
  const int status = start_and_wait(config, "backup", "/admin/v1/backups",
                                    json::serialize(json::object{{"name", config.name}}));
  if (status == exit_done && !config.json) {
    std::printf("The backup %s is in the server's --backup-dir.\n", config.name.c_str());
  }
  return status;
}

int rebuild(const MaintenanceConfig& config) {
  const int status = start_and_wait(config, "rebuild", "/admin/v1/rebuild", {});
  if (status == exit_done && !config.json) {
    std::printf("The projections were built anew, and are in use.\n");
  }
  return status;
}

// What `serve` has to be told of the log that the projections are of. On Kafka it isn't in the
// backup, and where the brokers are it doesn't say.
std::string log_flags(const std::string& identity) {
  if (identity == infra::embedded_log_identity) return {};
  constexpr std::string_view before_topic = ", topic ";
  const std::size_t at = identity.find(before_topic);
  const std::string topic =
      at == std::string::npos ? "" : identity.substr(at + before_topic.size());
  return " --log kafka" + (topic.empty() ? "" : " --kafka-topic " + topic) +
         " --kafka-bootstrap HOST:PORT";
}

int restore(const MaintenanceConfig& config) {
  require_outside_of_others(config.data_dir);
  Progress progress{Progress::show_for(config.json), "restore", "bytes", 0};
  std::uint64_t restored = 0;
  infra::restore_backup(config.from, config.data_dir, [&](std::uint64_t done, std::uint64_t total) {
    restored = done;
    progress.set_total(total);
    progress.at(done);
  });
  progress.finish(restored);
  if (config.json) {
    std::printf("%s\n", json::serialize(json::object{{"data_dir", config.data_dir.string()},
                                                     {"bytes", restored}})
                            .c_str());
  } else {
    std::printf("Restored. To serve it:\n    contactd serve --data-dir %s%s\n",
                config.data_dir.c_str(),
                log_flags(infra::kept_log_identity(config.data_dir)).c_str());
  }
  return exit_done;
}

}  // namespace

void add_backup(CommandLine& line) {
  const auto config = std::make_shared<MaintenanceConfig>();
  CLI::App* app = line.app.add_subcommand(
      "backup", "Back a running server up: its log and its projections, with their positions");
  add_admin_server(*app, config->server);
  app->add_option("--to", config->name, "A new directory's name, in the server's --backup-dir")
      ->required();
  add_json(*app, config->json, "Print the outcome as JSON");
  app->callback([&line, config] {
    config->server.finish();
    line.chosen = [config] { return back_up(*config); };
  });
}

void add_restore(CommandLine& line) {
  const auto config = std::make_shared<MaintenanceConfig>();
  CLI::App* app =
      line.app.add_subcommand("restore", "Check a backup, and make a data directory of it");
  app->add_option("--from", config->from, "The backup's directory")->required();
  app->add_option("--data-dir", config->data_dir, "A new or empty directory")->required();
  add_json(*app, config->json, "Print the outcome as JSON");
  app->callback([&line, config] { line.chosen = [config] { return restore(*config); }; });
}

void add_rebuild(CommandLine& line) {
  const auto config = std::make_shared<MaintenanceConfig>();
  CLI::App* app = line.app.add_subcommand(
      "rebuild", "Build a running server's projections anew from its log, while it serves");
  add_admin_server(*app, config->server);
  add_json(*app, config->json, "Print the outcome as JSON");
  app->callback([&line, config] {
    config->server.finish();
    line.chosen = [config] { return rebuild(*config); };
  });
}

}  // namespace contactd::api
