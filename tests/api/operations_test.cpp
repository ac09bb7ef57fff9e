#include <signal.h>
#include <sys/resource.h>

#include <gtest/gtest-spi.h>

#include <boost/json.hpp>
#include <fstream>
#include <regex>
#include <sstream>
#include <vector>

#include "tests/support/api_fixture.hpp"
#include "tests/support/canaries.hpp"
#include "tests/support/eventually.hpp"

// Operating the server: its start and end, its settings, its logs, its metrics.
namespace contactd::test {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

TEST(Operations, TheOnlyOutputIsTheReadyLine) {
  ServerProcess server;
  given_user(server).given_contact();
  EXPECT_EQ(server.stop(), exited(0));

  EXPECT_EQ(server.output(), "contactd ready " + server.url() + "\n");
}

TEST(Operations, HealthAndReadinessNeedNoKey) {
  ApiUser nobody{shared_server().port(), ""};
  nobody.send("GET", "/healthz").then(200).with_member("status", "ok");
  nobody.send("GET", "/readyz").then(200).with_member("status", "ready");
  for (const std::string path : {"/healthz", "/readyz", "/metrics"}) {
    nobody.send("GET", path + "?x=1").then(400).with_error_naming("x");
  }
}

TEST(Operations, MetricsAreInPrometheusTextAndNeedNoKey) {
  ApiUser nobody{shared_server().port(), ""};
  const Answer metrics = nobody.send("GET", "/metrics").then(200);
  EXPECT_EQ(metrics.response().media_type(), "text/plain");
  const std::regex sample{R"([a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})? [-+0-9.eEInfNa]+)"};
  std::istringstream lines{metrics.body()};
  for (std::string line; std::getline(lines, line);) {
    EXPECT_TRUE(line.starts_with("# ") || std::regex_match(line, sample)) << line;
  }
}

TEST(Operations, MetricsCountEventsAndNothingElse) {
  ApiUser user = given_user(shared_server());
  const Contact ann = user.given_contact();
  const std::string events = "contactd_log_events_total";
  const double before = metric(user, events);
  ASSERT_GE(before, 0);

  user.patch(ann.id, "{}").then(200);
  user.patch(ann.id, R"({"company": null, "tags": [], "status": "active"})").then(200);
  user.patch(ann.id, R"({"status": 1})").then(400);
  user.patch("nobody", "{}").then(404);
  user.patch(ann.id, "{}", {{"If-Match", "\"7\""}}).then(412);
  user.read(ann.id).then(200);
  EXPECT_EQ(metric(user, events), before);
  user.patch(ann.id, R"({"company": "A", "first_name": "B", "tags": ["c"]})").then(200);
  EXPECT_EQ(metric(user, events), before + 1);
}

TEST(Operations, TheMetricsLabelsAreNotTheClients) {
  ApiUser user = given_user(shared_server());
  user.send("GET", "/secret-path-of-a-client").then(404);
  user.send("PROPFIND", "/healthz").then(405);
  const Contact ann = user.given_contact();

  const std::string body = user.send("GET", "/metrics").then(200).body();
  for (const std::string text :
       {"secret-path", "PROPFIND", ann.id.c_str(), user.organization().c_str()}) {
    EXPECT_EQ(body.find(text), std::string::npos) << text;
  }
}

// Waits until the server has begun to stop: it closes connections that wait for nothing.
void wait_for_drain(RawConnection& idle) { EXPECT_TRUE(idle.read_until_close().closed); }

TEST(Operations, ASignalDrainsAndExitsWithZero) {
  for (const int number : {SIGTERM, SIGINT}) {
    ServerProcess server;
    ApiUser user = given_user(server);
    const Contact ann = user.given_contact();
    RawConnection idle{server.port()};
    idle.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(ResponseReader{idle}.read().status, 200U);
    RawConnection busy{server.port()};
    ResponseReader reader{busy};
    busy.send("PATCH " + contact_path(ann.id) + " HTTP/1.1\r\nHost: x\r\nX-API-KEY: " + user.key() +
              "\r\nExpect: 100-continue\r\nContent-Length: 15\r\n\r\n");
    EXPECT_EQ(reader.read().status, 100U);  // the server is in the middle of this request

    server.send_signal(number);
    wait_for_drain(idle);
    busy.send(R"({"company":"A"})");
    const Response answer = reader.read();
    EXPECT_EQ(answer.status, 200U);
    EXPECT_EQ(answer.header("Connection"), "close");
    EXPECT_TRUE(reader.at_end());
    EXPECT_EQ(server.wait(), exited(0)) << server.log();
    server.start();
    user.move_to(server.port());
    user.read(ann.id).then(200).with_field("company", "A");
  }
}

TEST(Operations, ADrainEndsAlsoWithRequestsThatNeverDo) {
  ServerProcess server{{{"--drain-timeout-ms", "100"}, {}}};
  RawConnection stuck{server.port()};
  stuck.send("POST /api/v1/contacts HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{");
  EXPECT_EQ(server.stop(), exited(0)) << server.log();
}

TEST(Operations, WhatWasAnsweredIsThereAfterARestartAndAfterAKill) {
  ServerProcess server;
  ApiUser user = given_user(server);
  std::vector<Contact> contacts;
  for (int i = 0; i < 20; ++i) {
    const std::string email = "c" + std::to_string(i) + "@example.com";
    contacts.push_back(user.given_contact(json::serialize(json::object{{"email", email}})));
  }
  contacts[3] =
      user.given_patched(contacts[3].id, R"({"tags": ["vip"], "email": "x@example.com"})");
  user.remove(contacts[4].id).then(200);
  const std::string list = user.list().then(200).body();

  for (const bool rebuild : {false, true}) {
    server.kill();
    // The projections are folded from the log; without them they are folded again.
    if (rebuild) fs::remove_all(server.data_dir() / "projections");
    server.start();
    user.move_to(server.port());
    EXPECT_EQ(user.list().then(200).body(), list);
    user.read(contacts[3].id).then(200).with_header("ETag", "\"2\"");
    user.read(contacts[4].id).then(404);
    user.create(R"({"email": "x@example.com"})")
        .then(409)
        .with_member("contact_id", contacts[3].id);
    user.create(R"({"email": "c5@example.com"})").then(409);
  }
  user.create(R"({"email": "c3@example.com"})").then(201);
}

TEST(Operations, ABadFlagIsOneSentenceAndExitCode2) {
  const TemporaryDirectory directory;
  const std::vector<std::vector<std::string>> rows = {
      {"serve", "--nonsense"},
      {"serve", "--listen", "nowhere"},
      {"serve", "--listen", "127.0.0.1:99999"},
      {"serve", "--listen", "127.0.0.1:http"},
      {"serve", "--log", "paper"},
      {"serve", "--rate-limit", "many"},
      {"serve", "--rate-limit", "-1"},
      {"serve", "--rate-limit", "010"},
      {"serve", "--rate-window-s", "0"},
      {"serve", "--max-connections", "0"},
      {"serve", "--queue-max", "x"},
      {"serve", "--io-threads", "-1"},
      {"serve", "--header-timeout-ms", "0"},
      {"serve", "--webhook-retry-scale", "nan"},
      {"serve", "--log-level", "loud"},
      {"serve", "--log-format", "xml"},
      {"serve", "--config", "/no/such/file"},
      {"serve", "extra"},
      {"serve", "--admin-key", "short"},
      {"serve", "--admin-key", "long enough, but with a return\r"},
      {"serve", "--admin-key", " long enough, but it is cut off "},
      {"serve", "--webhook-secret", "short"},
      {"serve", "--admin-key=", "--webhook-allow-http"},
      {"import", "a.csv", "--key", "k", "--from-line", "-1"},
      {"import", "a.csv", "--key", "k", "--from-line", "0"},
      {"dance"},
      {},
      {"keys"},
      {"keys", "create", "--organization", "a"},
      {"keys", "list", "--server", "ftp://x"},
      {"keys", "create", "--organization", "a", "--name", "b", "--scope", "all"},
  };
  for (std::vector<std::string> arguments : rows) {
    arguments.insert(arguments.begin(), contactd_binary());
    const Finished finished = run_program(arguments, {}, directory.path());
    const std::string shown = arguments.back();
    EXPECT_EQ(finished.status, exited(2)) << shown;
    EXPECT_EQ(finished.out, "") << shown;
    EXPECT_EQ(std::count(finished.err.begin(), finished.err.end(), '\n'), 1) << finished.err;
    EXPECT_TRUE(finished.err.starts_with("contactd: ")) << finished.err;
  }
  EXPECT_TRUE(fs::is_empty(directory.path()));
}

TEST(Operations, ACommandThatThereIsNoneOfIsToldWhichThereAre) {
  const Finished finished = run_program({contactd_binary(), "dance"});
  EXPECT_EQ(finished.err.substr(0, finished.err.find(';')),
            "contactd: there is no command 'dance'");
  EXPECT_NE(finished.err.find("serve, keys, "), std::string::npos) << finished.err;
}

TEST(Operations, ABadVariableOrConfigLineIsNamedToo) {
  const TemporaryDirectory directory;
  const auto serve = [&](std::map<std::string, std::string> environment,
                         std::vector<std::string> more = {}) {
    more.insert(more.begin(), {contactd_binary(), "serve"});
    return run_program(more, std::move(environment), directory.path());
  };
  const Finished variable = serve({{"CONTACTD_RATE_LIMIT", "many"}});
  EXPECT_EQ(variable.status, exited(2)) << variable.err;
  EXPECT_NE(variable.err.find("many"), std::string::npos) << variable.err;

  // With a byte order mark, as some editors write it.
  std::ofstream{directory.path() / "config"} << "\xEF\xBB\xBF# limits\n\nrate-limits = 5\n";
  const Finished line = serve({}, {"--config", "config"});
  EXPECT_EQ(line.status, exited(2)) << line.err;
  EXPECT_NE(line.err.find("config, line 3: there is no flag 'rate-limits'; there are listen,"),
            std::string::npos)
      << line.err;
  std::ofstream{directory.path() / "config"} << "rate-window-s = 5\nrate-limit = \"many\"\n";
  const Finished value = serve({}, {"--config", "config"});
  EXPECT_EQ(value.status, exited(2)) << value.err;
  EXPECT_NE(value.err.find("config, line 2: "), std::string::npos) << value.err;
  std::ofstream{directory.path() / "config"} << "queue-max = 9\n[serve]\nrate-limit = 5\n";
  const Finished section = serve({}, {"--config", "config"});
  EXPECT_EQ(section.status, exited(2)) << section.err;
  EXPECT_NE(section.err.find("config, line 2: there are no sections"), std::string::npos)
      << section.err;
}

TEST(Operations, SighupWithoutTlsChangesNothing) {
  ServerProcess server;
  server.send_signal(SIGHUP);
  const auto told = [&] { return server.log().find("no TLS certificate") != std::string::npos; };
  EXPECT_TRUE(eventually(told, std::chrono::seconds{10}));
  ApiUser{server.port(), ""}.send("GET", "/healthz", {}, "").then(200);
  EXPECT_EQ(server.stop(), exited(0)) << server.log();
}

TEST(Operations, HelpShowsEveryFlagWithItsDefault) {
  const Finished help = run_program({contactd_binary(), "serve", "--help"});
  EXPECT_EQ(help.status, exited(0));
  for (const std::string text : {"--listen",
                                 "127.0.0.1:8080",
                                 "--data-dir",
                                 "./contactd-data",
                                 "--log",
                                 "embedded",
                                 "--rate-limit",
                                 "--rate-window-s",
                                 "--header-timeout-ms",
                                 "10000",
                                 "--request-timeout-ms",
                                 "30000",
                                 "--idle-timeout-ms",
                                 "60000",
                                 "--max-connections",
                                 "--queue-max",
                                 "4096",
                                 "--io-threads",
                                 "--log-level",
                                 "--log-format",
                                 "--drain-timeout-ms",
                                 "--admin-key",
                                 "--config",
                                 "CONTACTD_LISTEN",
                                 "CONTACTD_DATA_DIR",
                                 "CONTACTD_ADMIN_KEY"}) {
    EXPECT_NE(help.out.find(text), std::string::npos) << text;
  }
  for (const std::string argument : {"--help", "--version"}) {
    const Finished finished = run_program({contactd_binary(), argument});
    EXPECT_EQ(finished.status, exited(0));
    EXPECT_NE(finished.out.find("contactd"), std::string::npos);
  }
}

// How many requests the limit allows, as the server tells it; empty where there is no limit.
std::string limit_of(const ServerProcess& server) {
  ApiUser nobody{server.port(), ""};
  return nobody.list().response().header("RateLimit-Policy").value_or("");
}

TEST(Operations, AFlagIsAlsoAVariableAndALineOfTheConfigFile) {
  const TemporaryDirectory directory;
  const std::string config = (directory.path() / "contactd.conf").string();
  std::ofstream{config} << "rate-limit = 11\nrate-window-s = 7\n";
  const ServerSettings by_variable{{}, {{"CONTACTD_RATE_LIMIT", "5"}}};
  const ServerSettings by_config{{"--config", config}, {}};
  const ServerSettings by_config_variable{{}, {{"CONTACTD_CONFIG", config}}};
  const ServerSettings by_all{{"--rate-limit", "3", "--config", config},
                              {{"CONTACTD_RATE_LIMIT", "5"}}};

  ServerProcess server{by_variable};
  EXPECT_EQ(limit_of(server), "\"default\";q=5;w=10");
  const std::vector<std::pair<ServerSettings, std::string>> rows = {
      {by_config, "\"default\";q=11;w=7"},
      {by_config_variable, "\"default\";q=11;w=7"},
      {by_all, "\"default\";q=3;w=7"},
      {{}, ""},
  };
  for (const auto& [settings, limit] : rows) {
    EXPECT_EQ(server.stop(), exited(0));
    server.start(settings);
    EXPECT_EQ(limit_of(server), limit);
  }
}

TEST(Operations, TheAdminKeyIsMadeOnceForItsOwnerAlone) {
  ServerProcess server;
  const fs::path file = server.data_dir() / "admin.key";
  struct stat status{};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0600U);
  const std::string key = server.admin_key();
  EXPECT_GE(key.size(), 32U);
  EXPECT_EQ(server.stop(), exited(0));
  server.start();

  EXPECT_EQ(server.admin_key(), key);
  admin_of(server).send("GET", "/admin/v1/keys").then(200);
}

TEST(Operations, TheAdminKeyMayBeGivenAndIsThenNotWritten) {
  ServerProcess server{{{}, {{"CONTACTD_ADMIN_KEY", "an admin key that was given"}}}};
  EXPECT_FALSE(fs::exists(server.data_dir() / "admin.key"));
  given_user(server).given_contact();
  ApiUser other{server.port(), "another"};
  other.send("GET", "/admin/v1/keys").then(401);
}

TEST(Operations, LogsCarryNoContactDataAndNoKeys) {
  ServerProcess server{{{"--log-level", "trace", "--log-format", "json"}, {}}};
  ApiUser user = given_user(server);
  const Contact ann = user.given_contact(R"({"first_name": "Annabella", "email": "a@secret.example",
                                             "tags": ["tag-of-ann"], "phone_number": "+4412345"})");
  user.patch(ann.id, R"({"company": "Secretive Ltd"})").then(200);
  user.create(R"({"email": "a@secret.example"})").then(409);
  user.patch(ann.id, R"({"first_name": 7, "Annabella": "Secretive Ltd"})").then(400);
  user.patch(ann.id, "{\"first_name\": \"Annabella\"").then(400);
  user.list("email=a@secret.example&tag=tag-of-ann").then(200);
  ApiUser{server.port(), "wrong-key-of-someone"}.list().then(401);
  send_raw(server.port(), "GET /healthz HTTP/1.1\r\nBad Annabella: +4412345\r\n\r\n");
  const std::string admin_key = server.admin_key();
  server.kill();
  server.start();
  EXPECT_EQ(server.stop(), exited(0));

  const std::string log = server.log();
  for (const std::string& secret :
       {std::string{"Annabella"}, std::string{"secret.example"}, std::string{"tag-of-ann"},
        std::string{"+4412345"}, std::string{"Secretive"}, user.key(), admin_key,
        std::string{"wrong-key-of-someone"}}) {
    EXPECT_EQ(log.find(secret), std::string::npos) << secret << "\n" << log;
  }
}

TEST(Operations, AShortAdminKeyIsRefusedAndNotRepeated) {
  for (const std::string key : {"", "short", "fifteen-letters"}) {
    const Finished refused = run_program({contactd_binary(), "serve", "--admin-key=" + key});
    EXPECT_EQ(refused.status, exited(2));
    EXPECT_NE(refused.err.find("--admin-key"), std::string::npos) << refused.err;
    if (key.size() > 5) {
      EXPECT_EQ(refused.err.find(key), std::string::npos) << refused.err;
    }
  }
}

// Else the first files of the databases would be standard output, and take what is printed.
TEST(Operations, WithoutStandardStreamsItWritesNothingIntoItsData) {
  const TemporaryDirectory directory;
  const fs::path data = directory.path() / "data";
  const std::string serve = "exec " + contactd_binary() + " serve --listen 127.0.0.1:0 " +
                            "--log-level trace --data-dir " + data.string() +
                            " 0<&- 1>&- 2>&- & server=$!; until [ -s " + data.string() +
                            "/admin.key ]; do kill -0 $server || exit 1; done; kill $server; " +
                            "wait $server";
  const Finished run = run_program({"/bin/sh", "-c", serve});
  EXPECT_EQ(run.status, exited(0)) << run.err;
  for (const auto& entry : fs::recursive_directory_iterator{data}) {
    if (!entry.is_regular_file()) continue;
    const std::string bytes = read_whole_file(entry.path());
    EXPECT_EQ(bytes.find("contactd ready"), std::string::npos) << entry.path();
    EXPECT_EQ(bytes.find("[info] stopping"), std::string::npos) << entry.path();
  }
}

TEST(Operations, ASecondSignalCutsTheDrainShort) {
  ServerProcess server{{{"--drain-timeout-ms", "3600000", "--header-timeout-ms", "3600000",
                         "--request-timeout-ms", "3600000"},
                        {}}};
  RawConnection stuck{server.port()};
  ResponseReader reader{stuck};
  stuck.send(
      "POST /api/v1/contacts HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
      "Content-Length: 5\r\n\r\n");
  EXPECT_EQ(reader.read().status, 100U);
  RawConnection idle{server.port()};
  idle.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(ResponseReader{idle}.read().status, 200U);
  server.send_signal(SIGTERM);
  wait_for_drain(idle);
  server.send_signal(SIGTERM);
  EXPECT_EQ(server.wait(), exited(0)) << server.log();
}

// Only where others could read: a search that finds nothing proves nothing.
TEST(Canaries, AreFoundWhereTheyAre) {
  add_canary("a-canary-that-is-here-on-purpose");
  add_canaries_of(json::parse(R"({"a": [{"b": "another-canary-of-the-test"}], "c": "short"})"));
  EXPECT_NONFATAL_FAILURE(expect_no_canary("x a-canary-that-is-here-on-purpose x", "a log"),
                          "a log has what a client sent");
  EXPECT_NONFATAL_FAILURE(expect_no_canary("another-canary-of-the-test", "a log"), "a log has");
  expect_no_canary("short, and nothing else", "a log");
}

std::string limit_of(pid_t process, const std::string& name) {
  std::istringstream lines{read_whole_file("/proc/" + std::to_string(process) + "/limits")};
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(name)) return line.substr(name.size());
  }
  return "no such limit";
}

TEST(Operations, ACrashLeavesNoCoreFile) {
  ServerProcess server;
  std::istringstream limits{limit_of(server.pid(), "Max core file size")};
  std::string soft;
  std::string hard;
  limits >> soft >> hard;
  EXPECT_EQ(soft, "0");
  EXPECT_EQ(hard, "0");
  // Not dumpable: what is the process's own in /proc belongs to root.
  struct stat found{};
  ASSERT_EQ(stat(("/proc/" + std::to_string(server.pid()) + "/mem").c_str(), &found), 0);
  EXPECT_EQ(found.st_uid, 0U);

  rlimit own{};
  ASSERT_EQ(getrlimit(RLIMIT_CORE, &own), 0);
  if (own.rlim_max == 0) return;
  ServerProcess debugged{{{"--core-dumps"}, {}}};
  EXPECT_NE(limit_of(debugged.pid(), "Max core file size"),
            limit_of(server.pid(), "Max core file size"));
}

TEST(Operations, LogLinesAreJsonWhereThatIsAskedFor) {
  ServerProcess server{{{"--log-level", "trace", "--log-format", "json"}, {}}};
  given_user(server).given_contact();
  EXPECT_EQ(server.stop(), exited(0));

  std::istringstream lines{server.log()};
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    boost::system::error_code ec;
    const json::value value = json::parse(line, ec);
    ASSERT_FALSE(ec) << line;
    for (const std::string name : {"time", "level", "message"}) {
      EXPECT_TRUE(value.as_object().contains(name)) << line;
    }
  }
  EXPECT_GT(count, 0);
}

TEST(Operations, APortThatIsTakenIsASentenceAndNotAStart) {
  const TemporaryDirectory directory;
  const std::string port = std::to_string(shared_server().port());
  const Finished finished =
      run_program({contactd_binary(), "serve", "--listen", "127.0.0.1:" + port, "--data-dir",
                   (directory.path() / "data").string()});
  EXPECT_EQ(finished.status, exited(1));
  EXPECT_EQ(finished.out, "");
  EXPECT_NE(finished.err.find(port), std::string::npos) << finished.err;
}

TEST(Operations, ADataDirectoryThatIsInUseIsASentenceAndNotAStart) {
  const Finished finished = run_program({contactd_binary(), "serve", "--listen", "127.0.0.1:0",
                                         "--data-dir", shared_server().data_dir().string()});
  EXPECT_EQ(finished.status, exited(1));
  EXPECT_EQ(finished.out, "");
  EXPECT_FALSE(finished.err.empty());
  given_user(shared_server()).given_contact();
}

}  // namespace
}  // namespace contactd::test
