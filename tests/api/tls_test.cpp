#include <signal.h>

#include <boost/json.hpp>
#include <filesystem>
#include <vector>

#include "tests/support/api_fixture.hpp"
#include "tests/support/certificate.hpp"
#include "tests/support/eventually.hpp"

// The server on https: what it agrees to, what it refuses, and new certificates while it runs. The
// clients are curl and openssl, which nobody here wrote.
namespace contactd::test {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr auto curl = "/usr/bin/curl";
constexpr auto openssl = "/usr/bin/openssl";
// How often it is looked whether the server has read its certificate again.
constexpr int reload_tries_max = 500;

class Tls : public ::testing::Test {
 protected:
  static ServerSettings settings(const Certificate& own, std::vector<std::string> more = {}) {
    more.insert(more.end(),
                {"--tls-cert", own.certificate.string(), "--tls-key", own.key.string()});
    return {std::move(more), {}};
  }
  Finished ask(const ServerProcess& server, std::vector<std::string> more) const {
    more.insert(more.begin(),
                {curl, "-sS", "--max-time", "15", "--cacert", certificate.certificate.string()});
    more.push_back(server.url() + "/healthz");
    return run_program(std::move(more));
  }
  // What `openssl s_client` says of a connection; it ends by itself, for want of an input.
  static Finished connect(const ServerProcess& server, std::vector<std::string> more) {
    more.insert(more.begin(),
                {openssl, "s_client", "-connect", "127.0.0.1:" + std::to_string(server.port())});
    return run_program(std::move(more));
  }

  TemporaryDirectory directory;
  Certificate certificate = make_certificate(directory.path(), "first");
};

TEST_F(Tls, ServesTheWholeApi) {
  ServerProcess server{settings(certificate)};
  EXPECT_EQ(server.output(),
            "contactd ready https://127.0.0.1:" + std::to_string(server.port()) + "\n");
  const Finished made = run_program({contactd_binary(), "keys", "create", "--server", server.url(),
                                     "--ca-file", certificate.certificate.string(),
                                     "--admin-key-file", (server.data_dir() / "admin.key").string(),
                                     "--organization", "acme", "--name", "ci"});
  ASSERT_EQ(made.status, exited(0)) << made.err;
  std::string key = made.out;
  key.pop_back();
  const std::vector<std::string> base = {curl,         "-sS",
                                         "--max-time", "15",
                                         "--cacert",   certificate.certificate.string(),
                                         "-H",         "X-API-KEY: " + key,
                                         "-H",         "Content-Type: application/json"};
  const std::string url = server.url() + "/api/v1/contacts";
  const auto send = [&](std::vector<std::string> more) {
    more.insert(more.begin(), base.begin(), base.end());
    const Finished done = run_program(std::move(more));
    EXPECT_EQ(done.status, exited(0)) << done.err;
    return json::parse(done.out);
  };
  const json::value created = send({"-d", R"({"first_name": "Jane"})", url});
  const std::string id = json::value_to<std::string>(created.at("data").at("id"));
  const std::string long_name(1000, 'x');
  send({"-X", "PATCH", "-d", R"({"first_name": ")" + long_name + R"("})", url + "/" + id});
  EXPECT_EQ(send({url + "/" + id}).at("data").at("first_name"), text(long_name));
  // Many on one connection.
  std::vector<std::string> many = {url + "/" + id};
  for (int i = 0; i < 20; ++i) many.insert(many.end(), {url + "/" + id});
  many.insert(many.begin(), base.begin(), base.end());
  EXPECT_EQ(run_program(many).status, exited(0));
  EXPECT_EQ(server.stop(), exited(0)) << server.log();
}

// A long body goes out from where it is, behind its head, in many records.
TEST_F(Tls, SendsALongBodyAsInTheClear) {
  ServerProcess server{settings(certificate)};
  const std::string path = "/openapi.json";
  const Finished sent = run_program({curl, "-sS", "--max-time", "15", "--cacert",
                                     certificate.certificate.string(), server.url() + path});
  ASSERT_EQ(sent.status, exited(0)) << sent.err;
  EXPECT_GT(sent.out.size(), 100'000U);
  EXPECT_EQ(sent.out, HttpClient{shared_server().port()}.request("GET", path).body);
}

TEST_F(Tls, AnswersTellBrowsersToStayOnIt) {
  ServerProcess server{settings(certificate)};
  const Finished answer = ask(server, {"-i"});
  ASSERT_EQ(answer.status, exited(0)) << answer.err;
  EXPECT_NE(answer.out.find("Strict-Transport-Security: max-age=31536000\r\n"), std::string::npos);
  HttpClient plain{shared_server().port()};
  EXPECT_FALSE(plain.request("GET", "/healthz").header("Strict-Transport-Security"));
}

TEST_F(Tls, SpeaksVersions12And13AndNoOlder) {
  ServerProcess server{settings(certificate)};
  for (const std::string version : {"-tls1_2", "-tls1_3"}) {
    const Finished session = connect(server, {version});
    EXPECT_EQ(session.status, exited(0)) << session.out << session.err;
    EXPECT_NE(session.out.find("Cipher is "), std::string::npos);
  }
  for (const std::string version : {"-tls1", "-tls1_1"}) {
    const Finished session = connect(server, {version, "-cipher", "ALL:@SECLEVEL=0"});
    EXPECT_EQ(session.status, exited(1)) << version << session.out;
  }
  // Without forward secrecy, or without authenticated encryption.
  for (const std::string cipher : {"AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA"}) {
    const Finished session = connect(server, {"-tls1_2", "-cipher", cipher});
    EXPECT_EQ(session.status, exited(1)) << cipher << session.out;
  }
}

TEST_F(Tls, AgreesUponHttp11AndNothingElse) {
  ServerProcess server{settings(certificate)};
  const Finished both = connect(server, {"-alpn", "h2,http/1.1"});
  EXPECT_NE(both.out.find("ALPN protocol: http/1.1"), std::string::npos) << both.out;
  const Finished other = connect(server, {"-alpn", "h2"});
  EXPECT_EQ(other.status, exited(1)) << other.out;
}

TEST_F(Tls, ClientsThatTrustAnotherAuthorityRefuseIt) {
  ServerProcess server{settings(certificate)};
  const Certificate other = make_certificate(directory.path(), "other");
  const Finished refused =
      run_program({contactd_binary(), "keys", "list", "--server", server.url(), "--ca-file",
                   other.certificate.string(), "--admin-key", "x"});
  EXPECT_EQ(refused.status, exited(1));
  EXPECT_NE(refused.err.find("certificate verify failed"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("--ca-file"), std::string::npos) << refused.err;
  // The right authority, but a name that isn't in the certificate.
  const Finished name =
      run_program({contactd_binary(), "keys", "list", "--server",
                   "https://127.0.0.2:" + std::to_string(server.port()), "--ca-file",
                   certificate.certificate.string(), "--admin-key", "x"});
  EXPECT_EQ(name.status, exited(1)) << name.out;
}

std::string subject_of(const Finished& session) {
  const std::size_t at = session.out.find("subject=");
  return at == std::string::npos ? "" : session.out.substr(at, session.out.find('\n', at) - at);
}

TEST_F(Tls, ReadsItsCertificateAgainOnSighup) {
  ServerProcess server{settings(certificate)};
  EXPECT_NE(subject_of(connect(server, {})).find("first"), std::string::npos);
  const Certificate second = make_certificate(directory.path(), "second");
  fs::rename(second.certificate, certificate.certificate);
  fs::rename(second.key, certificate.key);
  server.send_signal(SIGHUP);
  std::string subject;
  for (int i = 0; i < reload_tries_max && subject.find("second") == std::string::npos; ++i) {
    subject = subject_of(connect(server, {}));
  }
  EXPECT_NE(subject.find("second"), std::string::npos) << subject;

  // What can't be used changes nothing, and is told.
  fs::remove(certificate.key);
  server.send_signal(SIGHUP);
  for (int i = 0; i < reload_tries_max; ++i) {
    if (server.log().find("the certificate read before stays in use") != std::string::npos) break;
    connect(server, {});
  }
  EXPECT_NE(server.log().find("the certificate read before stays in use"), std::string::npos);
  EXPECT_NE(subject_of(connect(server, {})).find("second"), std::string::npos);
  EXPECT_EQ(server.stop(), exited(0)) << server.log();
}

// A start may take long, and a certificate that is renewed meanwhile isn't told of again for
// months.
TEST_F(Tls, ReadsItsCertificateAgainBeforeItIsReady) {
  const fs::path log = directory.path() / "stderr";
  const auto says = [&](const std::string& text) {
    return eventually([&] { return read_whole_file(log).find(text) != std::string::npos; },
                      ServerProcess::start_wait_max);
  };
  std::vector<std::string> command = {
      contactd_binary(), "serve",      "--listen",
      "127.0.0.1:0",     "--data-dir", (directory.path() / "data").string(),
      "--log",           "kafka",      "--kafka-bootstrap",
      "127.0.0.1:1"};
  const std::vector<std::string> flags = settings(certificate).flags;
  command.insert(command.end(), flags.begin(), flags.end());
  ChildProcess server{{std::move(command), {}, log, {}}};
  ASSERT_TRUE(says("waiting for a Kafka broker")) << read_whole_file(log);
  server.send_signal(SIGHUP);
  EXPECT_TRUE(says("the TLS certificate was read again")) << read_whole_file(log);
  server.send_signal(SIGTERM);
  EXPECT_EQ(server.wait(ServerProcess::stop_wait_max), exited(0)) << read_whole_file(log);
}

TEST_F(Tls, AFileThatCannotBeUsedIsASentenceAndNotAStart) {
  const Certificate other = make_certificate(directory.path(), "other");
  const TemporaryDirectory data;
  const auto serve = [&](const fs::path& its_certificate, const fs::path& its_key) {
    return run_program({contactd_binary(), "serve", "--listen", "127.0.0.1:0", "--data-dir",
                        data.path().string(), "--tls-cert", its_certificate.string(), "--tls-key",
                        its_key.string()});
  };
  for (const Finished& refused :
       {serve(certificate.certificate, other.key), serve("/nowhere.crt", certificate.key),
        serve(certificate.certificate, "/nowhere.key"), serve(certificate.key, certificate.key)}) {
    EXPECT_EQ(refused.status, exited(1));
    EXPECT_EQ(refused.out, "");
    EXPECT_NE(refused.err.find("TLS"), std::string::npos) << refused.err;
  }
  // A terminal, or what else is open as its input, is never asked for a passphrase.
  const fs::path encrypted = directory.path() / "encrypted.key";
  ASSERT_EQ(run_program({openssl, "pkey", "-in", certificate.key.string(), "-aes256", "-passout",
                         "pass:abcd", "-out", encrypted.string()})
                .status,
            exited(0));
  const Finished locked = serve(certificate.certificate, encrypted);
  EXPECT_EQ(locked.status, exited(1));
  EXPECT_NE(locked.err.find("is encrypted"), std::string::npos) << locked.err;
  const Finished half =
      run_program({contactd_binary(), "serve", "--tls-cert", certificate.certificate.string()});
  EXPECT_EQ(half.status, exited(2)) << half.err;
}

TEST_F(Tls, ACertificateThatHasEndedIsServedWithAWarning) {
  const fs::path ended = directory.path() / "ended.crt";
  ASSERT_EQ(run_program({openssl, "x509", "-in", certificate.certificate.string(), "-signkey",
                         certificate.key.string(), "-days", "-1", "-out", ended.string()})
                .status,
            exited(0));
  ServerProcess server{settings({ended, certificate.key})};
  EXPECT_NE(server.log().find("has ended at"), std::string::npos) << server.log();
  EXPECT_EQ(server.stop(), exited(0));
  ServerProcess other{settings(certificate)};
  EXPECT_EQ(other.log().find("has ended at"), std::string::npos) << other.log();
}

TEST_F(Tls, AHandshakeThatDoesNotComeToAnEndIsCutOff) {
  ServerProcess server{settings(certificate, {"--header-timeout-ms", "300"})};
  RawConnection silent{server.port()};
  RawConnection slow{server.port()};
  slow.send("\x16\x03\x01");
  RawConnection plain{server.port()};
  plain.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  for (RawConnection* const connection : {&silent, &slow, &plain}) {
    EXPECT_TRUE(connection->read_until_close().closed);
  }
  EXPECT_EQ(ask(server, {}).status, exited(0));
}

}  // namespace
}  // namespace contactd::test
