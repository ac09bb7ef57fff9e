#include <boost/json.hpp>
#include <cstdio>

#include "api/commands/command_line.hpp"
#include "api/commands/http_client.hpp"
#include "api/commands/options.hpp"
#include "api/commands/printable.hpp"
#include "api/limits.hpp"
#include "api/query.hpp"

// `contactd history`: what happened to a contact, from a running server.
namespace contactd::api {
namespace {

namespace json = boost::json;

struct HistoryConfig {
  ServerOptions server;
  std::string id;
  std::string field;
  bool json = false;
};

std::string text(const json::value& value) {
  return value.is_string() ? json::value_to<std::string>(value) : json::serialize(value);
}

// v2  2025-07-15T10:30:00.000Z  contactd.contact.updated.v1  by ci (key1)  request 0b5c
//     company: null -> "Acme"
void print_for_people(const json::value& event) {
  const json::value& actor = event.at("actor");
  std::string by = text(actor.at("name"));
  if (by != text(actor.at("id"))) by += " (" + text(actor.at("id")) + ')';
  std::printf("v%s  %s  %s  by %s  request %s\n", text(event.at("version")).c_str(),
              text(event.at("time")).c_str(), text(event.at("type")).c_str(), printable(by).c_str(),
              text(event.at("request_id")).c_str());
  for (const auto& [field, change] : event.at("changes").as_object()) {
    std::printf("    %s: %s -> %s\n", std::string{field}.c_str(),
                printable(json::serialize(change.at("old"))).c_str(),
                printable(json::serialize(change.at("new"))).c_str());
  }
}

int print_history(const HistoryConfig& config) {
  HttpClient client{config.server};
  std::string target = "/api/v1/contacts/" + encode_query_value(config.id) +
                       "/history?limit=" + std::to_string(limits::page_size_max);
  if (!config.field.empty()) target += "&field=" + encode_query_value(config.field);
  for (std::string more;;) {
    const Answer answer = client.ask_patiently("GET", target + more);
    if (answer.status != 200) throw ServerRefused(answer);
    const json::value page = json::parse(answer.body);
    for (const json::value& event : page.at("data").as_array()) {
      if (config.json) {
        std::printf("%s\n", json::serialize(event).c_str());
      } else {
        print_for_people(event);
      }
    }
    const json::value& cursor = page.at("next_cursor");
    if (cursor.is_null()) return exit_done;
    more = "&cursor=" + encode_query_value(text(cursor));
  }
}

}  // namespace

void add_history(CommandLine& line) {
  const auto config = std::make_shared<HistoryConfig>();
  CLI::App* app = line.app.add_subcommand(
      "history", "Print what happened to a contact, newest first; also to a deleted one");
  add_server(*app, config->server);
  app->add_option("id", config->id, "The contact's id")->required();
  app->add_option("--field", config->field, "Only what changed this field");
  add_json(*app, config->json, "Print each event as a line of JSON, as the API has it");
  app->callback([&line, config] {
    config->server.finish();
    line.chosen = [config] { return print_history(*config); };
  });
}

}  // namespace contactd::api
