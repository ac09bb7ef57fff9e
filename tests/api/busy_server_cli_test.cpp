#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdio>
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
    flags.insert(flags.begin(), {"import", file_of(rows)});
    return run(std::move(flags));
  }
  std::string file_of(const std::string& rows) {
    const std::string file = path("a.csv").string();
    std::ofstream{file} << rows;
    return file;
  }
  std::filesystem::path path(const std::string& name) { return directory_.path() / name; }
  // Runs the command, sends it the signal once the server was asked so often, and returns when it
  // has ended.
  Finished interrupt(int signal, std::size_t asked, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), contactd_binary());
    arguments.insert(arguments.end(), {"--url", server.url("")});
    ChildProcess child{{arguments, {{"CONTACTD_KEY", "k"}}, path("stderr"), {}}};
    EXPECT_TRUE(server.wait_for_received(asked));
    child.send_signal(signal);
    server.release_answers();
    const ExitStatus status = child.wait(program_wait_max);
    return {status, child.output(), read_whole_file(path("stderr"))};
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

constexpr std::string_view contact_made = R"({"data":{"id":"AAAAAAAAAAAAAAAAAAAA"}})";
constexpr std::string_view page_of_a_proxy = "<html><h1>Sorry</h1></html>";

int count_of(const std::string& part, const std::string& text) {
  int count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// As if what stands before contactd didn't reach it: each line is sent again.
TEST_F(BusyServer, BehindAProxyIsAskedAgain) {
  for (const int status : {408, 500, 502, 503, 504}) {
    server.answer([status, asked = std::make_shared<std::atomic<int>>(0)](const Received&) {
      return (*asked)++ < 3 ? answer(status, page_of_a_proxy) : answer(201, contact_made);
    });
    const Finished done = import("first_name\nAnn\nBea\n");
    EXPECT_EQ(done.status, exited(0)) << status << done.err;
    EXPECT_THAT(done.out, HasSubstr("2 created, 0 refused"));
  }
}

TEST_F(BusyServer, WhatIsNoAnswerOfContactdEndsAnImport) {
  for (const auto& [status, body] : {std::pair{200, page_of_a_proxy},
                                     {301, page_of_a_proxy},
                                     {404, page_of_a_proxy},
                                     {403, page_of_a_proxy},
                                     {404, R"({"message":"no such route"})"}}) {
    server.answer([status = status, body = body](const Received&) { return answer(status, body); });
    const Finished ended = import("first_name\nAnn\nBea\n");
    EXPECT_EQ(ended.status, exited(1));
    EXPECT_THAT(ended.out, HasSubstr("0 created, 0 refused"));
    EXPECT_THAT(ended.err, AllOf(HasSubstr("the server answered " + std::to_string(status) +
                                           ", and not as contactd does; check --url"),
                                 Not(HasSubstr("<h1>"))));
  }
}

// Every second line has to wait, until all that do have begun to; the others are answered
// meanwhile.
TEST_F(BusyServer, IsToldOncePerOutage) {
  constexpr int connections = 16;
  std::string rows = "first_name\n";
  for (int i = 0; i < connections; ++i) rows += (i % 2 == 0 ? "waits" : "goes") + std::string{"\n"};
  server.answer([asked = std::make_shared<std::atomic<int>>(0)](const Received& request) {
    if (request.body.find("waits") == std::string::npos) return answer(201, contact_made);
    if ((*asked)++ >= connections / 2) return answer(201, contact_made);
    return answer(503, R"({"error":"The server is busy"})", "Retry-After: 2\r\n");
  });
  const Finished done = import(rows);
  EXPECT_EQ(done.status, exited(0)) << done.err;
  EXPECT_EQ(count_of("trying again for up to 120 s", done.err), 1) << done.err;
}

TEST_F(BusyServer, AnImportThatIsInterruptedEndsItsLineAndSaysWhereToGoOn) {
  server.answer([](const Received&) { return answer(201, contact_made); });
  std::string rows = "first_name\n";
  for (int i = 0; i < 2000; ++i) rows += "Ann\n";
  std::size_t asked = 0;
  for (const int signal : {SIGINT, SIGTERM}) {
    server.hold_answers();
    const Finished ended =
        interrupt(signal, asked + 1, {"import", file_of(rows), "--connections", "1"});
    asked = server.received().size();
    EXPECT_EQ(ended.status, exited(128 + signal));
    const int done = count_of(": created", ended.out);
    EXPECT_GT(done, 0);
    EXPECT_THAT(ended.out, HasSubstr("\n" + std::to_string(done) + " created, 0 refused"));
    const std::string next = std::to_string(done + 2);
    EXPECT_THAT(ended.err, HasSubstr("line " + next + " is the first without an outcome; go on " +
                                     "there with --from-line " + next + ": ended by SIG"));
  }
}

TEST_F(BusyServer, AnImportThatWaitsForInputHearsASignal) {
  server.answer([](const Received&) { return answer(201, contact_made); });
  const std::string pipe = path("pipe").string();
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> held{std::fopen(pipe.c_str(), "r+"),
                                                             std::fclose};
  ASSERT_NE(held, nullptr);
  std::fputs("{\"first_name\":\"Ann\"}\n", held.get());
  std::fflush(held.get());
  const Finished ended = interrupt(SIGTERM, 1, {"import", pipe, "--format", "jsonl"});
  EXPECT_EQ(ended.status, exited(128 + SIGTERM));
  EXPECT_THAT(ended.err, HasSubstr("--from-line 2: ended by SIGTERM"));
}

TEST_F(BusyServer, AnExportThatIsInterruptedLeavesNothing) {
  server.answer([asked = std::make_shared<std::atomic<int>>(0)](const Received&) {
    return answer(
        200, R"({"data":[{"id":")" + std::to_string((*asked)++) + R"("}],"next_cursor":"more"})");
  });
  std::ofstream{path("all.jsonl")} << "before";
  const Finished ended = interrupt(SIGTERM, 3, {"export", "--out", path("all.jsonl").string()});
  EXPECT_EQ(ended.status, exited(128 + SIGTERM));
  EXPECT_THAT(ended.err, AllOf(HasSubstr("export: "), HasSubstr("ended by SIGTERM\n")));
  EXPECT_EQ(read_whole_file(path("all.jsonl")), "before");
  EXPECT_FALSE(std::filesystem::exists(path("all.jsonl.partial")));
  const Finished printed = interrupt(SIGINT, server.received().size() + 3, {"export"});
  EXPECT_EQ(printed.status, exited(128 + SIGINT));
  EXPECT_FALSE(json_lines(printed.out).empty());
}

TEST_F(BusyServer, IsNotWaitedForOnceASignalCame) {
  server.answer([asked = std::make_shared<std::atomic<int>>(0)](const Received&) {
    return (*asked)++ == 0 ? answer(200, R"({"data":[],"next_cursor":"more"})")
                           : answer(429, R"({"error":"Later"})", "Retry-After: 100\r\n");
  });
  EXPECT_EQ(interrupt(SIGINT, 2, {"export"}).status, exited(128 + SIGINT));
}

}  // namespace
}  // namespace contactd::test
