#include <gmock/gmock.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <memory>

#include "tests/api/commands.hpp"
#include "tests/support/webhook_receiver.hpp"

// The commands that are clients, of a server that is busy, is started anew or ends what it has
// begun: it is stood for by one that answers what the test wants.
namespace contactd::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view none = R"({"data":[],"next_cursor":null})";

std::string answer(int status, std::string_view body, std::string_view header = {}) {
  return "HTTP/1.1 " + std::to_string(status) +
         " X\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         std::string{header} + "\r\n" + std::string{body};
}

std::string busy(int status) {
  return answer(status, R"({"error":"The server is busy"})", "Retry-After: 0\r\n");
}

class BusyServer : public ::testing::Test {
 protected:
  Finished run(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--url", server.url("")});
    return contactd(std::move(arguments), {{"CONTACTD_KEY", "k"}, {"CONTACTD_ADMIN_KEY", "k"}});
  }
  Finished import(const std::string& rows, std::vector<std::string> flags = {}) {
    const std::string file = (directory_.path() / "a.csv").string();
    std::ofstream{file} << rows;
    flags.insert(flags.begin(), {"import", file});
    return run(std::move(flags));
  }
  // Answers the first reads with 429 and 503; all else as `then` does.
  void is_busy_to_reads_and_then(WebhookReceiver::Responder then) {
    server.answer([asked = std::make_shared<std::atomic<int>>(0), then](const Received& request) {
      const int before = request.method == "GET" ? (*asked)++ : 2;
      if (before < 2) return busy(before == 0 ? 429 : 503);
      return then(request);
    });
  }

  WebhookReceiver server;

 private:
  TemporaryDirectory directory_;
};

TEST_F(BusyServer, IsAskedAgainByWhatReadsFromIt) {
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"export"}, {"history", "x"}, {"keys", "list"}}) {
    is_busy_to_reads_and_then([](const Received&) { return answer(200, none); });
    const Finished done = run(command);
    EXPECT_EQ(done.status, exited(0)) << command.front() << done.err;
  }
  EXPECT_EQ(server.received().size(), 9U);
}

TEST_F(BusyServer, IsNotWaitedForLongerThanItMakesSense) {
  server.answer([](const Received&) {
    return answer(429, R"({"error":"Rate limit exceeded"})", "Retry-After: 86400\r\n");
  });
  for (const Finished& given_up : {run({"export"}), import("first_name\nAnn\n")}) {
    EXPECT_EQ(given_up.status, exited(1));
    EXPECT_THAT(given_up.err, HasSubstr("Rate limit exceeded (to be asked again in 86400 s)"));
  }
}

// The state of a backup, begun at that time.
std::string backup(const std::string& state, const std::string& started) {
  return R"({"data":{"state":")" + state + R"(","started_at":")" + started +
         R"(","unit":"bytes","done":1,"total":1,"error":null}})";
}

TEST_F(BusyServer, IsAskedAgainHowFarABackupIs) {
  is_busy_to_reads_and_then([](const Received& request) {
    return request.method == "POST" ? answer(202, backup("running", "then"))
                                    : answer(200, backup("done", "then"));
  });
  const Finished done = run({"backup", "--to", "nightly"});
  EXPECT_EQ(done.status, exited(0)) << done.err;
  EXPECT_THAT(done.out, HasSubstr("The backup nightly is in the server's --backup-dir"));
}

TEST_F(BusyServer, AnotherBackupThanTheOneBegunIsNotTakenForIt) {
  server.answer([](const Received& request) {
    return request.method == "POST" ? answer(202, backup("running", "then"))
                                    : answer(200, backup("done", "later"));
  });
  const Finished lost = run({"backup", "--to", "nightly"});
  EXPECT_EQ(lost.status, exited(1));
  EXPECT_EQ(lost.out, "");
  EXPECT_THAT(lost.err, HasSubstr("it isn't known how the backup ended"));
}

// The answer to line 4 ends the import; the other lines have been sent by then.
TEST_F(BusyServer, AnImportThatBreaksOffSaysWhatItDid) {
  server.answer([](const Received& request) {
    if (request.body.find("n4") != std::string::npos) return answer(401, R"({"error":"No key"})");
    if (request.body.find("n5") != std::string::npos) return answer(400, R"({"error":"No name"})");
    return answer(201, R"({"data":{"id":"AAAAAAAAAAAAAAAAAAAA"}})");
  });
  const Finished broken = import("first_name\nn2\nn3\nn4\nn5\nn6\n");
  EXPECT_EQ(broken.status, exited(1));
  EXPECT_THAT(broken.out, AllOf(HasSubstr("line 3: created"), Not(HasSubstr("line 4")),
                                HasSubstr("line 5: refused: No name\nline 6: created"),
                                HasSubstr("\n3 created, 1 refused, 0 unchanged, 0 updated\n")));
  EXPECT_THAT(broken.err, HasSubstr("line 4 is the first without an outcome; go on there with "
                                    "--from-line 4: the server answered 401: No key\n"));
}

}  // namespace
}  // namespace contactd::test
