#include <signal.h>

#include <boost/json.hpp>
#include <chrono>
#include <cstdio>

#include "api/commands/command_line.hpp"
#include "api/commands/http_client.hpp"
#include "api/commands/options.hpp"
#include "api/commands/printable.hpp"
#include "api/query.hpp"
#include "domain/instant.hpp"
#include "infra/clock.hpp"

// `contactd keys create|list|rotate|revoke`: a client of a running server.
namespace contactd::api {
namespace {

namespace json = boost::json;

struct KeysConfig {
  ServerOptions server;
  std::string organization;
  std::string name;
  std::vector<std::string> scopes = {"contacts=write"};
  std::string id;
  std::string expires_in;
  std::string grace = "1d";
  bool json = false;
};

constexpr std::string_view never = "never";

// `90d`, `12h`, `30m`, `45s`; nothing of anything else.
std::optional<std::chrono::seconds> duration_of(const std::string& text) {
  constexpr std::size_t digits_max = 5;
  const std::size_t digits = text.find_first_not_of("0123456789");
  if (digits == 0 || digits > digits_max || digits + 1 != text.size()) return std::nullopt;
  const std::chrono::seconds count{std::stoll(text)};
  switch (text.back()) {
    case 'd':
      return count * 24 * 3600;
    case 'h':
      return count * 3600;
    case 'm':
      return count * 60;
    case 's':
      return count;
    default:
      return std::nullopt;
  }
}

std::string check_duration(const std::string& text) {
  if (duration_of(text)) return {};
  return "'" + text + "' is no duration; give a number of at most five digits and d, h, m or s, " +
         "such as 90d";
}

std::string check_life(const std::string& text) {
  return text == never ? std::string{} : check_duration(text);
}

// By this machine's clock.
json::value end_of(const KeysConfig& config) {
  if (config.expires_in == never) return nullptr;
  domain::Instant end = infra::system_time();
  end.unix_ms += std::chrono::milliseconds{*duration_of(config.expires_in)}.count();
  return json::string{domain::to_iso8601(end)};
}

std::string check_scope(const std::string& text) {
  const std::size_t equals = text.find('=');
  const std::string resource = text.substr(0, equals);
  const std::string scope = equals == std::string::npos ? "" : text.substr(equals + 1);
  const bool known = resource == "contacts" || resource == "webhooks";
  if (known && (scope == "none" || scope == "read" || scope == "write")) return {};
  return "'" + text + "' is no scope; give contacts=none, contacts=read or contacts=write, " +
         "or the same of webhooks";
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

int show_new_key(const KeysConfig& config, const Answer& answer) {
  const json::value made = require_success(answer);
  signal(SIGPIPE, SIG_IGN);  // so that it is told, too, that nobody reads
  std::printf("%s\n", (config.json ? answer.body : text(made.at("data"), "key")).c_str());
  if (std::fflush(stdout) != 0) {
    // That it can't be printed, main says.
    std::fprintf(stderr,
                 "contactd: the new key holds, and nobody has it; revoke it with `contactd keys "
                 "revoke %s`\n",
                 text(made.at("data"), "id").c_str());
    return exit_failed;
  }
  if (config.json) return exit_done;
  const auto* end = made.at("data").as_object().if_contains("expires_at");
  const bool ends = end != nullptr && end->is_string();
  const std::string life =
      ends ? "It ends at " + json::value_to<std::string>(*end) : "It never ends";
  std::fprintf(stderr, "This is the only time that the key is shown. Its id is %s. %s.\n",
               text(made.at("data"), "id").c_str(), life.c_str());
  return exit_done;
}

int create(const KeysConfig& config) {
  json::object scopes;
  for (const std::string& scope : config.scopes) {
    const std::size_t equals = scope.find('=');
    const std::string resource = scope.substr(0, equals);
    if (!scopes.emplace(resource, scope.substr(equals + 1)).second) {
      throw UsageError("--scope says twice what the key may do with " + resource + "; say it once");
    }
  }
  json::object body{
      {"organization", config.organization}, {"name", config.name}, {"scopes", scopes}};
  if (!config.expires_in.empty()) body["expires_at"] = end_of(config);
  return show_new_key(
      config, HttpClient{config.server}.ask("POST", "/admin/v1/keys", json::serialize(body)));
}

int rotate(const KeysConfig& config) {
  json::object body{{"grace_seconds", duration_of(config.grace)->count()}};
  if (!config.expires_in.empty()) body["expires_at"] = end_of(config);
  const std::string target = "/admin/v1/keys/" + encode_query_value(config.id) + "/rotate";
  return show_new_key(config, HttpClient{config.server}.ask("POST", target, json::serialize(body)));
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
    const json::value page = require_success(client.ask_patiently("GET", target));
    for (const json::value& key : page.at("data").as_array()) all.push_back(key);
    if (page.at("next_cursor").is_null()) return all;
    cursor = json::value_to<std::string>(page.at("next_cursor"));
  }
}

std::string state_of(const json::value& key) {
  if (!key.at("revoked_at").is_null()) return "revoked";
  if (key.at("expires_at").is_null()) return "active";
  const auto end = domain::parse_iso8601(text(key, "expires_at"));
  const bool over = end && *end <= infra::system_time();
  return (over ? "expired " : "active until ") + text(key, "expires_at");
}

std::string scopes_of(const json::value& key) {
  std::string all;
  for (const auto& scope : key.at("scopes").as_object()) {
    if (!all.empty()) all += ' ';
    all += std::string{scope.key()} + '=' + json::value_to<std::string>(scope.value());
  }
  return all;
}

std::string use_of(const json::value& key) {
  return key.at("last_used_at").is_null() ? "not used" : "last used " + text(key, "last_used_at");
}

int list(const KeysConfig& config) {
  const json::array keys = all_keys(config);
  if (config.json) {
    std::printf("%s\n", json::serialize(json::object{{"data", keys}}).c_str());
    return exit_done;
  }
  for (const json::value& key : keys) {
    std::printf("%s  %s  %s  %s  made %s  %s  %s\n", text(key, "id").c_str(),
                text(key, "organization").c_str(), printable(text(key, "name")).c_str(),
                scopes_of(key).c_str(), text(key, "created_at").c_str(), use_of(key).c_str(),
                state_of(key).c_str());
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

void add_expiry(CLI::App& action, KeysConfig& config, const std::string& without) {
  action
      .add_option("--expires-in", config.expires_in,
                  "When the new key ends, such as 90d, or never; without it, " + without)
      ->check(CLI::Validator(check_life, "DURATION"));
}

}  // namespace

void add_keys(CommandLine& line) {
  CLI::App* keys = line.app.add_subcommand("keys", "Make, list, rotate and revoke API keys");
  keys->require_subcommand(1);
  // Each has flags of its own, and what they say.
  const auto add = [&](const char* name, const char* help, int (*run)(const KeysConfig&)) {
    const auto config = std::make_shared<KeysConfig>();
    CLI::App* action = keys->add_subcommand(name, help);
    add_admin_server(*action, config->server);
    add_json(*action, config->json, "Print the server's JSON");
    action->callback([&line, config, run] {
      config->server.finish();
      line.chosen = [config, run] { return run(*config); };
    });
    return std::pair{action, config.get()};  // which the callback owns
  };
  const auto [made, make] = add("create", "Make a key; it is shown this once", create);
  made->add_option("--organization", make->organization, "Whose contacts")->required();
  made->add_option("--name", make->name, "What the key is for")->required();
  made->add_option("--scope", make->scopes, "What the key may do; may be repeated")
      ->capture_default_str()
      ->check(CLI::Validator(check_scope, "contacts|webhooks=none|read|write"));
  add_expiry(*made, *make, "never");
  const auto [rotated, turn] =
      add("rotate", "Make a key's successor; both hold for a time", rotate);
  rotated->add_option("id", turn->id, "The old key's id")->required();
  rotated->add_option("--grace", turn->grace, "How long the old key goes on to hold, such as 1d")
      ->capture_default_str()
      ->check(CLI::Validator(check_duration, "DURATION"));
  add_expiry(*rotated, *turn, "never, whatever the old one's end");
  const auto [listed, show] = add("list", "List the keys, without their secrets", list);
  listed->add_option("--organization", show->organization, "Only this organization's");
  const auto [revoked, end] = add("revoke", "Revoke a key, from this moment", revoke);
  revoked->add_option("id", end->id, "The key's id")->required();
}

}  // namespace contactd::api
