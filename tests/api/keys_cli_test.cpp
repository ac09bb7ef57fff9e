#include <boost/json.hpp>
#include <fstream>
#include <vector>

#include "tests/support/api_fixture.hpp"
#include "tests/support/temporary_directory.hpp"

// `contactd keys create|list|revoke`, which calls a running server.
namespace contactd::test {
namespace {

namespace json = boost::json;

class KeysCommand : public ::testing::Test {
 protected:
  // Runs `contactd keys` with the shared server's address and admin key.
  Finished keys(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {contactd_binary(), "keys"});
    arguments.insert(arguments.end(), {"--server", shared_server().url(), "--admin-key-file",
                                       (shared_server().data_dir() / "admin.key").string()});
    return run_program(std::move(arguments));
  }

  const std::string organization = new_organization();
};

std::string without_line_break(std::string text) {
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

TEST_F(KeysCommand, CreatePrintsAKeyThatWorks) {
  const Finished made = keys({"create", "--organization", organization, "--name", "ci"});
  ASSERT_EQ(made.status, exited(0)) << made.err;

  ApiUser{shared_server().port(), without_line_break(made.out)}.create("{}").then(201);
}

TEST_F(KeysCommand, AKeyThatCanNotBePrintedIsAFailure) {
  const Finished lost =
      run_program({"/bin/sh", "-c",
                   "exec " + contactd_binary() + " keys create --url " + shared_server().url() +
                       " --organization " + organization + " --name ci >/dev/full"},
                  {{"CONTACTD_ADMIN_KEY", shared_server().admin_key()}});
  EXPECT_EQ(lost.status, exited(1));
  EXPECT_NE(lost.err.find("can't write to standard output"), std::string::npos) << lost.err;
  const std::string revoke = "revoke it with `contactd keys revoke ";
  ASSERT_NE(lost.err.find(revoke), std::string::npos) << lost.err;
  const std::string id = lost.err.substr(lost.err.find(revoke) + revoke.size());
  EXPECT_EQ(keys({"revoke", id.substr(0, id.find('`'))}).status, exited(0));
}

TEST_F(KeysCommand, CreateTakesAScope) {
  const Finished made = keys(
      {"create", "--organization", organization, "--name", "reader", "--scope", "contacts=read"});
  ASSERT_EQ(made.status, exited(0)) << made.err;

  ApiUser reader{shared_server().port(), without_line_break(made.out)};
  reader.list().then(200);
  reader.create("{}").then(403);
}

TEST_F(KeysCommand, ListShowsKeysWithoutTheirSecretsAndRevokeEndsThem) {
  const Finished made = keys({"create", "--organization", organization, "--name", "ci", "--json",
                              "--scope", "contacts=write", "--scope", "webhooks=read"});
  ASSERT_EQ(made.status, exited(0)) << made.err;
  const json::value data = json::parse(made.out).at("data");
  const std::string id = json::value_to<std::string>(data.at("id"));
  const std::string key = json::value_to<std::string>(data.at("key"));

  const Finished list = keys({"list", "--organization", organization});
  EXPECT_EQ(list.status, exited(0));
  EXPECT_NE(list.out.find(id), std::string::npos) << list.out;
  EXPECT_EQ(list.out.find(key), std::string::npos) << list.out;
  EXPECT_NE(list.out.find("contacts=write webhooks=read"), std::string::npos) << list.out;
  EXPECT_NE(list.out.find("  not used  active\n"), std::string::npos) << list.out;
  ApiUser{shared_server().port(), key}.list().then(200);
  const Finished used = keys({"list", "--organization", organization});
  EXPECT_NE(used.out.find("  last used 2"), std::string::npos) << used.out;
  const Finished all = keys({"list", "--json"});
  EXPECT_NE(all.out.find(id), std::string::npos);

  const Finished revoked = keys({"revoke", id});
  EXPECT_EQ(revoked.status, exited(0)) << revoked.err;
  ApiUser{shared_server().port(), key}.list().then(401);
}

TEST_F(KeysCommand, WhatTheServerRefusesIsASentenceAndExitCode1) {
  const std::string said = "contactd: the server answered ";
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"revoke", "nosuchkey0000000"}, "404: API key not found\n"},
      {{"create", "--organization", "no spaces", "--name", "x"},
       "400: Invalid request body: organization: Expected 1 to 64 characters of A-Z, a-z, 0-9, _ "
       "and -\n"},
  };
  for (const auto& [arguments, sentence] : cases) {
    const Finished refused = keys(arguments);
    EXPECT_EQ(refused.status, exited(1));
    EXPECT_EQ(refused.out, "");
    EXPECT_TRUE(refused.err.starts_with(said + sentence)) << refused.err;
  }
}

TEST_F(KeysCommand, AResourceHasOneScope) {
  const Finished twice = keys({"create", "--organization", organization, "--name", "x", "--scope",
                               "contacts=write", "--scope", "contacts=read"});
  EXPECT_EQ(twice.status, exited(2));
  EXPECT_NE(twice.err.find("twice what the key may do with contacts"), std::string::npos)
      << twice.err;
}

TEST_F(KeysCommand, AWrongAdminKeyIsRefused) {
  const Finished refused =
      run_program({contactd_binary(), "keys", "list", "--server", shared_server().url()},
                  {{"CONTACTD_ADMIN_KEY", "wrong"}});
  EXPECT_EQ(refused.status, exited(1));
  EXPECT_NE(refused.err.find("401"), std::string::npos) << refused.err;
}

TEST_F(KeysCommand, TheCommandLineGoesBeforeTheEnvironment) {
  const Finished list =
      run_program({contactd_binary(), "keys", "list", "--server", shared_server().url() + "/",
                   "--admin-key", shared_server().admin_key()},
                  {{"CONTACTD_SERVER", "http://127.0.0.1:1"}, {"CONTACTD_ADMIN_KEY", "wrong"}});
  EXPECT_EQ(list.status, exited(0)) << list.err;
}

TEST_F(KeysCommand, WhatANameHasOfControlCharactersDoesNotReachTheTerminal) {
  const std::string name = "ci\n\x1b[2J\xC2\x9B";
  ASSERT_EQ(keys({"create", "--organization", organization, "--name", name}).status, exited(0));
  const Finished list = keys({"list", "--organization", organization});
  EXPECT_NE(list.out.find("  ci\\u000a\\u001b[2J\\u009b  "), std::string::npos) << list.out;
  EXPECT_NE(list.out.find("  active\n"), std::string::npos) << list.out;
}

TEST_F(KeysCommand, TakesAKeyFileOfAnEditorThatEndsLinesWithCarriageReturns) {
  const TemporaryDirectory directory;
  const auto file = directory.path() / "admin.key";
  std::ofstream{file} << shared_server().admin_key() << "\r\n";
  const Finished list =
      run_program({contactd_binary(), "keys", "list", "--server", shared_server().url(),
                   "--admin-key-file", file.string(), "--organization", organization});
  EXPECT_EQ(list.status, exited(0)) << list.err;
}

TEST_F(KeysCommand, WithoutAnAdminKeyItSaysWhatToGive) {
  const Finished refused = run_program({contactd_binary(), "keys", "list"});
  EXPECT_EQ(refused.status, exited(2));
  EXPECT_NE(refused.err.find("--admin-key-file"), std::string::npos) << refused.err;
}

TEST_F(KeysCommand, AServerThatIsNotThereIsASentenceAndExitCode1) {
  ServerProcess gone;
  const std::string url = gone.url();
  EXPECT_EQ(gone.stop(), exited(0));
  const Finished refused = run_program({contactd_binary(), "keys", "list", "--server", url},
                                       {{"CONTACTD_ADMIN_KEY", "x"}});
  EXPECT_EQ(refused.status, exited(1));
  EXPECT_NE(refused.err.find(url), std::string::npos) << refused.err;
}

}  // namespace
}  // namespace contactd::test
