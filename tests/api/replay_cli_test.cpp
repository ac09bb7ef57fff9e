#include <gmock/gmock.h>
#include <signal.h>

#include <fstream>

#include "tests/api/commands.hpp"
#include "tests/api/directory_server.hpp"
#include "tests/support/event_stream.hpp"
#include "tests/support/eventually.hpp"

// `contactd replay`, and `contactd serve --read-only` on what it has made.
namespace contactd::test {
namespace {

namespace json = boost::json;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

// Changes a byte of what a log has kept since before its last start.
void damage_a_table_in(const std::filesystem::path& log) {
  for (const auto& file : std::filesystem::directory_iterator(log)) {
    if (file.path().extension() != ".sst") continue;
    std::string bytes = read_whole_file(file.path());
    bytes[bytes.size() / 2] ^= 0x10;
    std::ofstream{file.path(), std::ios::binary} << bytes;
    return;
  }
  FAIL() << "there is no table in " << log;
}

class ReplayCommand : public ::testing::Test {
 protected:
  Finished replay(const std::string& to, std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(), {"replay", "--to", (directory_.path() / to).string(), "--json"});
    return contactd_on_log(server, std::move(flags));
  }
  std::filesystem::path path(const std::string& name) { return directory_.path() / name; }
  // Where the user's last event is.
  boost::json::value last_event() {
    const Finished events =
        contactd_on_log(server, {"events", "--json", "--organization", user.organization()});
    return json_lines(events.out).back();
  }

  ServerProcess server;
  ApiUser user = given_user(server);

 private:
  TemporaryDirectory directory_;
};

TEST_F(ReplayCommand, ShowsWhatWasAtAPositionAndATime) {
  const Contact contact = user.given_contact(R"({"first_name":"Ann","email":"ann@x.io"})");
  const Contact gone = user.given_contact(R"({"first_name":"Bea"})");
  const boost::json::value event = last_event();
  const std::string then = user.read(contact.id).body();
  user.given_patched(contact.id, R"({"first_name":"Eve","email":"eve@x.io"})");
  user.remove(gone.id).then(200);
  user.given_contact();

  const Finished at_position = replay("position", {"--until", text_at(event, "position")});
  ASSERT_EQ(at_position.status, exited(0)) << at_position.err;
  DirectoryServer past{path("position"), {"--read-only"}};
  ApiUser reader{past.port(), user.key()};
  EXPECT_EQ(reader.read(contact.id).then(200).body(), then);
  reader.read(gone.id).then(200);
  EXPECT_EQ(reader.list().json().at_pointer("/pagination/total"), 2);
  EXPECT_EQ(reader.list("email=eve@x.io").json().at_pointer("/pagination/total"), 0);
  EXPECT_EQ(past.stop(), exited(0));

  const Finished at_time = replay("time", {"--until", text_at(event, "time")});
  ASSERT_EQ(at_time.status, exited(0)) << at_time.err;
  DirectoryServer by_time{path("time"), {"--read-only"}};
  ApiUser{by_time.port(), user.key()}.read(gone.id).then(200);
  EXPECT_EQ(by_time.stop(), exited(0));
}

TEST_F(ReplayCommand, SaysHowFarItCame) {
  user.given_contact();
  const std::string newest = text_at(last_event(), "position");
  const std::string partition = newest.substr(0, newest.find(':'));
  const auto until = [&](const std::string& to, const std::string& place) {
    return contactd_on_log(server, {"replay", "--to", path(to).string(), "--until", place});
  };
  const Finished there = until("there", newest);
  EXPECT_EQ(there.status, exited(0)) << there.err;
  EXPECT_THAT(there.out, HasSubstr("partition " + partition + ": folded up to offset " +
                                   newest.substr(partition.size() + 1) + ", of 20"));
  EXPECT_THAT(there.out, Not(HasSubstr("the log has nothing")));
  const Finished beyond = until("beyond", partition + ":999999");
  EXPECT_EQ(beyond.status, exited(0)) << beyond.err;
  EXPECT_THAT(beyond.out, HasSubstr("the log has nothing that holds from there up to offset"));
}

TEST_F(ReplayCommand, WithoutAnEndShowsWhatIsAndTakesNoChanges) {
  const Contact contact = user.given_contact(R"({"first_name":"Ann"})");
  ASSERT_EQ(replay("now").status, exited(0));
  DirectoryServer now{path("now"), {"--read-only"}};
  ApiUser reader{now.port(), user.key()};
  EXPECT_EQ(reader.read(contact.id).then(200).body(), user.read(contact.id).body());
  reader.send("GET", "/readyz").then(200);
  for (const Answer& refused : {reader.patch(contact.id, R"({"company":"Acme"})"),
                                reader.create("{}"), reader.remove(contact.id)}) {
    refused.then(503).with_error_naming("read-only").without_header("Retry-After");
  }
  std::ofstream{path("one.jsonl")} << R"({"first_name":"Bob"})" << '\n';
  const Finished import = run_program({contactd_binary(), "import", path("one.jsonl").string(),
                                       "--url", "http://127.0.0.1:" + std::to_string(now.port())},
                                      {{"CONTACTD_KEY", user.key()}});
  EXPECT_EQ(import.status, exited(1));
  EXPECT_THAT(import.err, HasSubstr("read-only"));
  reader.read(contact.id).then(200).with_field("company", nullptr);
  EXPECT_EQ(now.stop(), exited(0));
}

TEST_F(ReplayCommand, ReadOnlyMakesNoDirectoryThatIsNotThere) {
  const Finished nothing = run_program({contactd_binary(), "serve", "--read-only", "--listen",
                                        "127.0.0.1:0", "--data-dir", path("none").string()});
  EXPECT_EQ(nothing.status, exited(1));
  EXPECT_THAT(nothing.err, HasSubstr("there is no data directory"));
  EXPECT_FALSE(std::filesystem::exists(path("none")));
}

// As the feed was, by page, from now on, as a head and as a stream; and a cursor from later is
// gone.
TEST_F(ReplayCommand, WhatItMakesHasTheFeed) {
  constexpr auto feed = "/api/v1/events";
  const Contact contact = user.given_contact(R"({"first_name":"Ann"})");
  user.given_patched(contact.id, R"({"company":"Acme"})");
  ASSERT_EQ(replay("feed").status, exited(0));
  const std::string page = user.send("GET", feed).then(200).body();
  user.given_patched(contact.id, R"({"company":"later"})");
  const Answer later = user.send("GET", feed).then(200);
  DirectoryServer then{path("feed"), {"--read-only"}};
  ApiUser reader{then.port(), user.key()};
  EXPECT_EQ(reader.send("GET", feed).then(200).body(), page);
  EXPECT_EQ(reader.send("GET", std::string{feed} + "?after=latest").then(200).json().at("data"),
            json::array{});
  reader.send("HEAD", feed).then(200);
  reader
      .send("GET", std::string{feed} +
                       "?after=" + json::value_to<std::string>(later.json().at("next_cursor")))
      .then(410);
  EventStream stream{then.port(), user.key()};
  for (int version = 1; version <= 2; ++version) {
    const auto event = stream.next();
    ASSERT_TRUE(event);
    EXPECT_EQ(json::parse(event->data).at("contactversion"), version);
  }
  EXPECT_EQ(then.stop(), exited(0));
}

// Or an empty log would be made beside them, and then be the one that lacks what they have.
TEST_F(ReplayCommand, WhatItMakesIsServedAsReadOnlyAlone) {
  user.given_contact();
  ASSERT_EQ(replay("past").status, exited(0));
  const Finished refused = run_program(
      {contactd_binary(), "serve", "--listen", "127.0.0.1:0", "--data-dir", path("past").string()});
  EXPECT_EQ(refused.status, exited(1));
  // What was replayed from a topic is of that log, and the server has another one here.
  EXPECT_THAT(refused.err, AnyOf(HasSubstr("add --read-only"), HasSubstr("are of another log")));
  EXPECT_FALSE(std::filesystem::exists(path("past") / "log"));
}

TEST_F(ReplayCommand, RefusesADirectoryThatIsInUse) {
  ASSERT_EQ(replay("twice").status, exited(0));
  const Finished again = replay("twice");
  EXPECT_EQ(again.status, exited(2));
  EXPECT_THAT(again.err, HasSubstr("isn't empty"));
}

TEST_F(ReplayCommand, RefusesADirectoryInsideAServersData) {
  const std::filesystem::path inside = server.data_dir() / "then";
  const Finished refused = contactd_on_log(server, {"replay", "--to", inside.string()});
  EXPECT_EQ(refused.status, exited(2));
  EXPECT_THAT(refused.err, HasSubstr("which is a data directory; give a directory elsewhere"));
  EXPECT_FALSE(std::filesystem::exists(inside));
}

// What is served is whole, or not there.
TEST_F(ReplayCommand, AKilledOneLeavesNothingToServeAndIsRunAgain) {
  constexpr int contacts = 200;
  for (int i = 0; i < contacts; ++i) user.given_contact();
  for (int round = 0; round < 5; ++round) {
    const std::string name = "killed" + std::to_string(round);
    std::vector<std::string> arguments{contactd_binary(), "replay", "--to", path(name).string()};
    const auto flags = server.reading_flags();
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    ChildProcess killed{{arguments, {}, path("stderr"), {}}};
    const auto begun = [&] {
      return std::filesystem::exists(path(name)) && !std::filesystem::is_empty(path(name));
    };
    ASSERT_TRUE(eventually(begun, program_wait_max));
    killed.send_signal(SIGKILL);
    killed.wait(program_wait_max);

    if (!std::filesystem::exists(path(name) / "projections")) {
      const Finished refused = contactd(
          {"serve", "--read-only", "--listen", "127.0.0.1:0", "--data-dir", path(name).string()});
      EXPECT_EQ(refused.status, exited(1));
      EXPECT_THAT(refused.err, HasSubstr("there are no projections in"));
      ASSERT_EQ(replay(name).status, exited(0));
    }
    DirectoryServer whole{path(name), {"--read-only"}};
    ApiUser reader{whole.port(), user.key()};
    EXPECT_EQ(reader.list().then(200).json().at_pointer("/pagination/total"), contacts);
    EXPECT_EQ(whole.stop(), exited(0));
  }
}

TEST_F(ReplayCommand, OneThatWasCutOffIsMadeAnew) {
  user.given_contact();
  std::filesystem::create_directories(path("cut") / "projections.unfinished");
  std::ofstream{path("cut") / "projections.unfinished" / "CURRENT"} << "MANIFEST-000001\n";
  std::ofstream{path("cut") / "projections.log"} << "kafka cluster X, topic contacts.events\n";
  const Finished made = replay("cut");
  ASSERT_EQ(made.status, exited(0)) << made.err;
  EXPECT_FALSE(std::filesystem::exists(path("cut") / "projections.unfinished"));
  DirectoryServer now{path("cut"), {"--read-only"}};
  EXPECT_EQ(now.stop(), exited(0));
}

// Its log can be read up to the middle.
TEST(Replay, OneThatFailsLeavesNothingToServe) {
  ServerProcess server{{{"--log", "embedded"}, {}}};
  ApiUser user = given_user(server);
  for (int i = 0; i < 600; ++i) user.given_contact();
  server.stop();
  server.start();
  EXPECT_EQ(server.stop(), exited(0));
  damage_a_table_in(server.data_dir() / "log");
  const TemporaryDirectory directory;
  const std::filesystem::path to = directory.path() / "then";
  const Finished failed =
      contactd({"replay", "--data-dir", server.data_dir().string(), "--to", to.string()});
  EXPECT_EQ(failed.status, exited(1));
  EXPECT_THAT(failed.err, HasSubstr("Corruption"));
  EXPECT_TRUE(std::filesystem::is_empty(to));
}

TEST_F(ReplayCommand, WhatItMakesIsShownByAnyNumberOfServersAndStaysAsItIs) {
  const Answer made =
      user.send("POST", "/api/v1/webhooks", {}, R"({"url": "https://x.invalid/"})").then(201);
  const std::string webhook =
      "/api/v1/webhooks/" + json::value_to<std::string>(made.data().at("id"));
  ASSERT_EQ(replay("shared").status, exited(0));
  DirectoryServer first{path("shared"), {"--read-only"}};
  DirectoryServer second{path("shared"), {"--read-only"}};
  for (const std::uint16_t port : {first.port(), second.port()}) {
    ApiUser reader{port, user.key()};
    reader.send("GET", webhook)
        .then(200)
        .with_field("url", "https://x.invalid/")
        .with_field("unserved_reason", "read_only");
    reader.send("GET", webhook + "/deliveries")
        .then(503)
        .with_error_naming("read-only")
        .without_header("Retry-After");
    reader.send("POST", webhook + "/rotate-secret").then(503).with_error_naming("read-only");
  }
  for (const std::string name : {"admin.key", "webhook.key", "webhooks"}) {
    EXPECT_FALSE(std::filesystem::exists(path("shared") / name)) << name;
  }
  EXPECT_EQ(second.stop(), exited(0));
  EXPECT_EQ(first.stop(), exited(0));
}

// What a server that was killed hadn't stored yet is in its log, which isn't read.
TEST(ReadOnly, SaysThatTheLogBesideMayHaveMore) {
  ServerProcess server{{{"--log", "embedded"}, {}}};
  ApiUser user = given_user(server);
  const Contact stored = user.given_contact();
  EXPECT_EQ(server.stop(), exited(0));
  server.start();
  const Contact later = ApiUser{server.port(), user.key()}.given_contact();
  server.kill();
  {
    DirectoryServer shown{server.data_dir(), {"--read-only"}};
    ApiUser reader{shown.port(), user.key()};
    reader.read(stored.id).then(200);
    reader.read(later.id).then(404);
    EXPECT_EQ(shown.stop(), exited(0));
  }
  const std::string said = read_whole_file(server.data_dir() / "stderr.log");
  EXPECT_THAT(said, HasSubstr("folded and stored of it, up to offset "));
  EXPECT_THAT(said, HasSubstr("start without --read-only"));

  const TemporaryDirectory directory;
  const std::filesystem::path copy = directory.path() / "copy";
  EXPECT_EQ(
      contactd({"replay", "--data-dir", server.data_dir().string(), "--to", copy.string()}).status,
      exited(0));
  DirectoryServer all{copy, {"--read-only"}};
  ApiUser{all.port(), user.key()}.read(later.id).then(200);
  EXPECT_EQ(all.stop(), exited(0));
  EXPECT_THAT(read_whole_file(copy / "stderr.log"), Not(HasSubstr("isn't read")));
}

TEST(ReadOnly, RefusesADirectoryWithoutProjections) {
  const TemporaryDirectory nothing;
  const Finished refused = contactd(
      {"serve", "--read-only", "--listen", "127.0.0.1:0", "--data-dir", nothing.path().string()});
  EXPECT_EQ(refused.status, exited(1));
  EXPECT_THAT(refused.err, HasSubstr("there are no projections in"));
}

}  // namespace
}  // namespace contactd::test
