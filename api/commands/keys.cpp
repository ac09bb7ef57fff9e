#include <boost/json.hpp>
#include <cstdio>

#include "api/commands/command_line.hpp"
#include "api/commands/http_client.hpp"
#include "api/commands/options.hpp"
#include "api/query.hpp"

// `contactd keys create|list|revoke`: a client of a running server.
namespace contactd::api {
namespace {

namespace json = boost::json;

struct KeysConfig {
  ServerOptions server;
  std::string organization;
  std::string name;
  std::string scope = "contacts=write";
  std::string id;
  bool json = false;
};

std::string check_scope(const std::string& text) {
  for (const char* known : {"contacts=none", "contacts=read", "contacts=write"}) {
    if (text == known) return {};
  }
  return "'" + text + "' is no scope; give contacts=none, contacts=read or contacts=write";
}

std::string text(const json::value& object, const char* name) {
  const json::value& value = object.at(name);
  return value.is_string() ? json::value_to<std::string>(value) : json::serialize(value);
}

// What the server said, if that is JSON that was asked for.
json::value require_success(const Answer& answer) {
  if (answer.status >= 300) throw ServerRefused(answer);
  return json::parse(answer.body);
}

int create(const KeysConfig& config) {
  const std::string scope = config.scope.substr(config.scope.find('=') + 1);
  const json::object body{{"organization", config.organization},
                          {"name", config.name},
                          {"scopes", {{"contacts", scope}}}};
  const Answer answer =
      HttpClient{config.server}.ask("POST", "/admin/v1/keys", json::serialize(body));
  const json::value made = require_success(answer);
  if (config.json) {
    std::printf("%s\n", answer.body.c_str());
    return exit_done;
  }
  std::printf("%s\n", text(made.at("data"), "key").c_str());
  std::fprintf(stderr, "This is the only time that the key is shown. Its id is %s.\n",
               text(made.at("data"), "id").c_str());
  return exit_done;
}

// All pages of the listing.
json::array all_keys(const KeysConfig& config) {
  HttpClient client{config.server};
  json::array all;
  std::string cursor;
  for (;;) {
    std::string target = "/admin/v1/keys?cursor=" + encode_query_value(cursor);
    if (!config.organization.empty()) {
      target += "&organization=" + encode_query_value(config.organization);
    }
    const json::value page = require_success(client.ask("GET", target));
    for (const json::value& key : page.at("data").as_array()) all.push_back(key);
    if (page.at("next_cursor").is_null()) return all;
    cursor = json::value_to<std::string>(page.at("next_cursor"));
  }
}

int list(const KeysConfig& config) {
  const json::array keys = all_keys(config);
  if (config.json) {
    std::printf("%s\n", json::serialize(json::object{{"data", keys}}).c_str());
    return exit_done;
  }
  for (const json::value& key : keys) {
    std::printf("%s  %s  %s  contacts=%s  %s\n", text(key, "id").c_str(),
                text(key, "organization").c_str(), text(key, "name").c_str(),
                text(key.at("scopes"), "contacts").c_str(),
                key.at("revoked_at").is_null() ? "holds" : "revoked");
  }
  return exit_done;
}

int revoke(const KeysConfig& config) {
  const Answer answer =
      HttpClient{config.server}.ask("DELETE", "/admin/v1/keys/" + encode_query_value(config.id));
  const json::value revoked = require_success(answer);
  if (config.json) {
    std::printf("%s\n", answer.body.c_str());
  } else {
    std::printf("revoked %s\n", text(revoked, "id").c_str());
  }
  return exit_done;
}

}  // namespace

void add_keys(CommandLine& line) {
  const auto config = std::make_shared<KeysConfig>();
  CLI::App* keys = line.app.add_subcommand("keys", "Make, list and revoke API keys");
  keys->require_subcommand(1);
  const auto add = [&](const char* name, const char* help, int (*run)(const KeysConfig&)) {
    CLI::App* action = keys->add_subcommand(name, help);
    add_admin_server(*action, config->server);
    add_json(*action, config->json, "Print the server's JSON");
    action->callback([&line, config, run] {
      config->server.finish();
      line.chosen = [config, run] { return run(*config); };
    });
    return action;
  };
  CLI::App* made = add("create", "Make a key; it is shown this once", create);
  made->add_option("--organization", config->organization, "Whose contacts")->required();
  made->add_option("--name", config->name, "What the key is for")->required();
  made->add_option("--scope", config->scope, "What the key may do")
      ->capture_default_str()
      ->check(CLI::Validator(check_scope, "contacts=none|read|write"));
  CLI::App* listed = add("list", "List the keys, without their secrets", list);
  listed->add_option("--organization", config->organization, "Only this organization's");
  CLI::App* revoked = add("revoke", "Revoke a key, from this moment", revoke);
  revoked->add_option("id", config->id, "The key's id")->required();
}

}  // namespace contactd::api
