#include <gmock/gmock.h>

#include <fstream>

#include "tests/api/commands.hpp"
#include "tests/support/certificate.hpp"

// What `contactd serve` takes from the command line, the environment and the config file together,
// and what the other commands take of it.
namespace contactd::test {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class ServeFlags : public ::testing::Test {
 protected:
  std::string config(const std::string& lines) const {
    const auto file = directory.path() / "contactd.conf";
    std::ofstream{file} << lines;
    return file.string();
  }
  static Finished serve(std::vector<std::string> flags,
                        std::map<std::string, std::string> environment = {}) {
    flags.insert(flags.begin(), {"serve", "--listen", "127.0.0.1:0"});
    return contactd(std::move(flags), std::move(environment));
  }

  TemporaryDirectory directory;
};

TEST(RequestLog, HasALineOfEachRequestAtTheLevelDebug) {
  ServerProcess server{{{"--log-level", "debug"}, {}}};
  ApiUser user = given_user(server);
  const Contact ann = user.given_contact();
  user.send("GET", contact_path(ann.id) + "?version=1", {{"X-Request-Id", "reads-ann"}}).then(200);
  user.send("GET", contact_path("ann%40x.example"), {{"X-Request-Id", "reads-nobody"}}).then(404);
  user.send("GET", "/api/v1/events", {{"X-Request-Id", "reads-events"}}).then(200);
  send_raw(server.port(), "GET /healthz HTTP/1.1\r\nX-Request-Id: no-host\r\n\r\n");
  const auto named =
      send_raw(server.port(), "GET /healthz HTTP/1.1\r\n\r\n").header("X-Request-Id");
  ASSERT_TRUE(named);
  EXPECT_EQ(server.stop(), exited(0));
  const std::string log = server.log();
  EXPECT_THAT(log, HasSubstr("request " + std::string{*named} + ": OTHER -: 400 after "));
  EXPECT_THAT(log, HasSubstr("request reads-ann: GET " + contact_path(ann.id) + ": 200 after "));
  EXPECT_THAT(log, HasSubstr("request reads-nobody: GET /api/v1/contacts/...: 404 after "));
  EXPECT_THAT(log, HasSubstr("request reads-events: GET /api/v1/events: 200 after "));
  EXPECT_THAT(log, HasSubstr("request no-host: OTHER -: 400 after "));
  EXPECT_THAT(log, Not(HasSubstr("version=1")));
}

TEST(RequestLog, HasNoSuchLineAtTheLevelInfo) {
  ServerProcess server;
  given_user(server).send("GET", "/api/v1/contacts", {{"X-Request-Id", "reads-all"}}).then(200);
  EXPECT_EQ(server.stop(), exited(0));
  EXPECT_THAT(server.log(), Not(HasSubstr("reads-all")));
}

TEST_F(ServeFlags, TheCertificateAndItsKeyMayBeGivenInDifferentPlaces) {
  const Certificate own = make_certificate(directory.path(), "own");
  const std::string cert = own.certificate.string();
  const std::string key = own.key.string();
  for (const ServerSettings& settings : std::vector<ServerSettings>{
           {{"--tls-cert", cert, "--config", config("tls-key = \"" + key + "\"\n")}, {}},
           {{"--tls-key", key}, {{"CONTACTD_TLS_CERT", cert}}}}) {
    ServerProcess server{settings};
    EXPECT_THAT(server.url(), StartsWith("https://"));
    EXPECT_EQ(server.stop(), exited(0)) << server.log();
  }
}

TEST_F(ServeFlags, ACertificateWithoutItsKeyIsRefusedWhereverItIsGiven) {
  for (const auto& [refused, sentence] :
       {std::pair{serve({"--tls-cert", "a.crt"}), "--tls-cert needs --tls-key; give both"},
        std::pair{serve({}, {{"CONTACTD_TLS_KEY", "a.key"}}), "--tls-key needs --tls-cert"},
        std::pair{serve({"--config", config("tls-cert = \"a.crt\"\n")}),
                  "--tls-cert needs --tls-key"},
        std::pair{serve({"--config", config("tls-key = \"a.key\"\n")}),
                  "--tls-key needs --tls-cert"}}) {
    EXPECT_EQ(refused.status, exited(2)) << refused.err;
    EXPECT_THAT(refused.err, HasSubstr(sentence));
  }
}

TEST_F(ServeFlags, AShortSecretIsRefusedWhereverItIsGiven) {
  for (const auto& [refused, flag] :
       {std::pair{serve({"--config", config("admin-key = \"hunter2\"\n")}), "--admin-key"},
        std::pair{serve({"--config", config("webhook-secret = \"hunter2\"\n")}),
                  "--webhook-secret"},
        std::pair{serve({}, {{"CONTACTD_ADMIN_KEY", "hunter2"}}), "--admin-key"},
        std::pair{serve({}, {{"CONTACTD_WEBHOOK_SECRET", "hunter2"}}), "--webhook-secret"}}) {
    EXPECT_EQ(refused.status, exited(2)) << refused.err;
    EXPECT_THAT(refused.err, AllOf(HasSubstr(flag), Not(HasSubstr("hunter2"))));
  }
}

TEST(CommandLine, WhereACommandIsMissingItSaysWhatStandsThere) {
  for (const auto& [arguments, sentence] :
       std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{}, "a command is missing; there are serve, keys, "},
           {{"--foo"}, "there is no flag '--foo'; name the command before its flags"},
           {{"--json", "export"}, "there is no flag '--json'"},
           {{"keys"}, "keys lacks a command; there are create, rotate, list, revoke"},
           {{"keys", "foo"}, "there is no command 'keys foo'; there are create, "},
           {{"keys", "--json"}, "there is no flag 'keys --json'"}}) {
    const Finished refused = contactd(arguments);
    EXPECT_EQ(refused.status, exited(2));
    EXPECT_THAT(refused.err, StartsWith("contactd: " + sentence));
  }
}

TEST(CommandLine, WhereItIsWrongItNamesTheHelpOfTheCommand) {
  for (const auto& [arguments, command] :
       std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"serve", "--foo"}, "serve"},
           {{"import"}, "import"},
           {{"events", "--log", "paper"}, "events"},
           {{"keys", "create"}, "keys create"},
           {{"keys", "list", "--foo"}, "keys list"}}) {
    const Finished refused = contactd(arguments);
    EXPECT_EQ(refused.status, exited(2));
    EXPECT_THAT(refused.err, EndsWith(" (contactd " + command + " --help lists the flags)\n"));
  }
}

// Those of one command are nothing to another, which may run in the same environment.
TEST(Variables, AreReadByTheCommandThatHasThemAlone) {
  const std::map<std::string, std::string> wrong = {{"CONTACTD_RATE_LIMIT", "many"},
                                                    {"CONTACTD_LOG", "paper"},
                                                    {"CONTACTD_WEBHOOK_SECRET", "short"},
                                                    {"CONTACTD_CONFIG", "/no/such/file"}};
  auto environment = wrong;
  environment["CONTACTD_SERVER"] = shared_server().url();
  environment["CONTACTD_ADMIN_KEY"] = shared_server().admin_key();
  const Finished keys = contactd({"keys", "list"}, environment);
  EXPECT_EQ(keys.status, exited(0)) << keys.err;
  EXPECT_EQ(contactd({"--help"}, wrong).status, exited(0));
  const Finished help = contactd({"keys", "list", "--help"}, wrong);
  EXPECT_EQ(help.status, exited(0));
  EXPECT_THAT(help.out, HasSubstr("CONTACTD_ADMIN_KEY"));

  const Finished events = contactd({"events"}, wrong);
  EXPECT_EQ(events.status, exited(2));
  EXPECT_THAT(events.err, HasSubstr("--log"));
  ServerProcess server{{{}, {{"CONTACTD_SERVER", "ftp://nowhere"}}}};
  EXPECT_EQ(server.stop(), exited(0));
}

}  // namespace
}  // namespace contactd::test
