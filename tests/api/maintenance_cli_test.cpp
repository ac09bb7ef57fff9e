#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/api/commands.hpp"
#include "tests/api/directory_server.hpp"

// `contactd backup`, `restore` and `rebuild`, and the admin API that they call.
namespace contactd::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class MaintenanceTest : public ::testing::Test {
 protected:
  Finished run(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--url", server.url()});
    return contactd(std::move(arguments), {{"CONTACTD_ADMIN_KEY", server.admin_key()}});
  }
  std::filesystem::path backup(const std::string& name) {
    return server.data_dir() / "backups" / name;
  }
  Finished restore(const std::string& name, const std::string& to) {
    return contactd(
        {"restore", "--from", backup(name).string(), "--data-dir", path(to).string(), "--json"});
  }
  std::filesystem::path path(const std::string& name) { return directory_.path() / name; }
  // All contacts of the user, as a list has them.
  static std::string contacts(ApiUser& of) { return of.list("page_size=200").then(200).body(); }

  ServerProcess server;
  ApiUser user = given_user(server);

 private:
  TemporaryDirectory directory_;
};

// Changes a contact over and over, until it is told to stop.
class Changes {
 public:
  Changes(const ServerProcess& server, ApiUser& user)
      : contact_(user.given_contact()), thread_([this, port = server.port(), key = user.key()] {
          ApiUser writer{port, key};
          while (!done_) {
            const int next = changes_ + 1;
            writer.patch(contact_.id, R"({"company":")" + std::to_string(next) + R"("})").then(200);
            writer.read(contact_.id).then(200).with_field("company", text(std::to_string(next)));
            changes_ = next;
          }
        }) {}
  ~Changes() { stop(); }
  int stop() {
    done_ = true;
    if (thread_.joinable()) thread_.join();
    return changes_;
  }
  int count() const { return changes_; }
  const Contact& contact() const { return contact_; }

 private:
  const Contact contact_;
  std::atomic<bool> done_ = false;
  std::atomic<int> changes_ = 0;
  std::thread thread_;
};

TEST_F(MaintenanceTest, ABackupHasAllThatWasAcknowledgedBeforeIt) {
  for (int i = 0; i < 30; ++i) user.given_contact();
  Changes changes{server, user};
  while (changes.count() < 20) std::this_thread::yield();
  const int before = changes.count();
  const Finished made = run({"backup", "--to", "nightly", "--json"});
  ASSERT_EQ(made.status, exited(0)) << made.err;
  EXPECT_EQ(text_at(json_lines(made.out).at(0), "state"), "done");
  const int after = changes.stop() + 1;

  const Finished restored = restore("nightly", "restored");
  ASSERT_EQ(restored.status, exited(0)) << restored.err;
  std::vector<std::string> flags;
  if (tests_run_on_kafka()) flags = {"--read-only"};  // the topic is still the first server's
  DirectoryServer again{path("restored"), flags};
  ApiUser reader{again.port(), user.key()};
  EXPECT_EQ(reader.list().json().at_pointer("/pagination/total"), 31);
  const auto contact = reader.read(changes.contact().id).then(200).data();
  const int company = std::stoi(std::string{contact.at("company").as_string()});
  EXPECT_GE(company, before);
  EXPECT_LE(company, after);
  if (flags.empty()) reader.given_patched(changes.contact().id, R"({"company":"goes on"})");
  EXPECT_EQ(again.stop(), exited(0));
}

TEST_F(MaintenanceTest, RestoreRefusesWhatIsNoWholeBackup) {
  user.given_contact();
  ASSERT_EQ(run({"backup", "--to", "one"}).status, exited(0));
  ASSERT_EQ(restore("one", "taken").status, exited(0));
  const Finished taken = restore("one", "taken");
  EXPECT_EQ(taken.status, exited(1));
  EXPECT_THAT(taken.err, HasSubstr("isn't empty"));
  EXPECT_THAT(restore("none", "a").err, HasSubstr("No such file"));
  const Finished nowhere =
      contactd({"restore", "--from", backup("one").string(), "--data-dir", "/proc/none"});
  EXPECT_THAT(nowhere.err, HasSubstr("can't write /proc/none: No such file or directory; give a "));
  std::filesystem::create_directory(backup("cut"));
  EXPECT_THAT(restore("cut", "a").err, HasSubstr("it is no backup, or one that wasn't finished"));

  for (const auto& file : std::filesystem::recursive_directory_iterator(backup("one"))) {
    if (!file.is_regular_file() || file.file_size() == 0) continue;
    if (file.path().filename() == "manifest.json") continue;
    std::string bytes = read_whole_file(file.path());
    std::string damaged = bytes;
    damaged[damaged.size() / 2] ^= 0x10;
    std::ofstream{file.path(), std::ios::binary} << damaged;
    const Finished refused = restore("one", "b");
    EXPECT_EQ(refused.status, exited(1)) << file.path();
    EXPECT_THAT(refused.err, HasSubstr("isn't as it was when the backup was made"));
    EXPECT_FALSE(std::filesystem::exists(path("b")));
    // A directory that was there stays, as the operator made it.
    std::filesystem::create_directory(path("b"));
    std::filesystem::permissions(path("b"), std::filesystem::perms::owner_all);
    EXPECT_EQ(restore("one", "b").status, exited(1)) << file.path();
    EXPECT_TRUE(std::filesystem::is_empty(path("b")));
    std::filesystem::remove(path("b"));
    std::ofstream{file.path(), std::ios::binary} << bytes;
  }
  EXPECT_EQ(restore("one", "b").status, exited(0));
}

// What is there of it may be a log without its first files, which a server would begin anew.
TEST_F(MaintenanceTest, ARestoreThatWasCutOffIsNotServedButMadeAgain) {
  user.given_contact();
  ASSERT_EQ(run({"backup", "--to", "one"}).status, exited(0));
  ASSERT_EQ(restore("one", "cut").status, exited(0));
  std::filesystem::remove(path("cut") / "log" / "CURRENT");
  std::ofstream{path("cut") / "restore.unfinished"} << "";
  const Finished refused = run_program(
      {contactd_binary(), "serve", "--listen", "127.0.0.1:0", "--data-dir", path("cut").string()});
  EXPECT_EQ(refused.status, exited(1));
  EXPECT_THAT(refused.err, HasSubstr("wasn't finished; run `contactd restore` into it again"));
  const Finished unread =
      contactd({"verify", "--log-only", "--log", "embedded", "--data-dir", path("cut").string()});
  EXPECT_EQ(unread.status, exited(3));
  EXPECT_THAT(unread.out, HasSubstr(tests_run_on_kafka() ? "not verified: there is no embedded log"
                                                         : "not verified: the restore into"));
  EXPECT_EQ(restore("one", "cut").status, exited(0));
  EXPECT_FALSE(std::filesystem::exists(path("cut") / "restore.unfinished"));
  // On Kafka a backup has no log: the projections alone can be shown.
  const std::vector<std::string> flags =
      tests_run_on_kafka() ? std::vector<std::string>{"--read-only"} : std::vector<std::string>{};
  DirectoryServer again{path("cut"), flags};
  user.move_to(again.port());
  user.list().then(200);
}

// Which would no longer be what was backed up, or go with the server's data.
TEST_F(MaintenanceTest, RestoreRefusesADirectoryInsideABackupOrServersData) {
  ASSERT_EQ(run({"backup", "--to", "one"}).status, exited(0));
  for (const auto& [to, what] : {std::pair{backup("one") / "a" / "b", "which is a backup"},
                                 {server.data_dir() / "a", "which is a data directory"}}) {
    const Finished refused =
        contactd({"restore", "--from", backup("one").string(), "--data-dir", to.string()});
    EXPECT_EQ(refused.status, exited(2));
    EXPECT_THAT(refused.err, HasSubstr(what));
    EXPECT_FALSE(std::filesystem::exists(to));
  }
}

TEST_F(MaintenanceTest, RestoreSaysHowToServeWhatItMade) {
  ASSERT_EQ(run({"backup", "--to", "one"}).status, exited(0));
  const Finished restored = contactd(
      {"restore", "--from", backup("one").string(), "--data-dir", path("restored").string()});
  EXPECT_EQ(restored.status, exited(0)) << restored.err;
  EXPECT_THAT(restored.out,
              HasSubstr("contactd serve --data-dir " + path("restored").string() +
                        (tests_run_on_kafka() ? " --log kafka --kafka-topic " : "\n")));
}

TEST_F(MaintenanceTest, WhatIsRestoredIsForTheOwnerAlone) {
  user.given_contact();
  ASSERT_EQ(run({"backup", "--to", "one"}).status, exited(0));
  const mode_t before = umask(0);
  ASSERT_EQ(restore("one", "b").status, exited(0));
  umask(before);
  using std::filesystem::perms;
  for (const auto& entry : std::filesystem::recursive_directory_iterator{path("b")}) {
    EXPECT_EQ(entry.status().permissions() & (perms::group_all | perms::others_all), perms::none)
        << entry.path();
  }
}

// The files of the log that are tables, which hold what was written before a restart.
std::vector<std::filesystem::path> tables_in(const std::filesystem::path& log) {
  std::vector<std::filesystem::path> tables;
  for (const auto& file : std::filesystem::directory_iterator(log)) {
    if (file.path().extension() == ".sst") tables.push_back(file.path());
  }
  return tables;
}

TEST(Maintenance, WhatIsDamagedIsNotBackedUpAndNamed) {
  for (const auto& [database, advice] :
       {std::pair{"log", "restore the log from an earlier backup"},
        std::pair{"projections", "`contactd rebuild` makes them anew"}}) {
    ServerProcess server{{{"--log", "embedded"}, {}}};
    ApiUser user = given_user(server);
    for (int i = 0; i < 100; ++i) user.given_contact();
    server.stop();
    server.start();
    const std::filesystem::path damaged = server.data_dir() / database;
    const auto tables = tables_in(damaged);
    ASSERT_FALSE(tables.empty());
    std::string bytes = read_whole_file(tables.front());
    bytes[bytes.size() / 3] ^= 0x10;
    std::ofstream{tables.front(), std::ios::binary} << bytes;
    const Finished refused = contactd({"backup", "--to", "one", "--url", server.url()},
                                      {{"CONTACTD_ADMIN_KEY", server.admin_key()}});
    EXPECT_EQ(refused.status, exited(1));
    EXPECT_THAT(refused.err, AllOf(HasSubstr("checksum"), HasSubstr(damaged.string()),
                                   HasSubstr(advice), Not(HasSubstr("backups/one"))));
    EXPECT_FALSE(std::filesystem::exists(server.data_dir() / "backups" / "one"));
  }
}

TEST_F(MaintenanceTest, BackupNamesAreNewAndPlain) {
  ASSERT_EQ(run({"backup", "--to", "one"}).status, exited(0));
  const Finished again = run({"backup", "--to", "one"});
  EXPECT_EQ(again.status, exited(1));
  EXPECT_THAT(again.err, HasSubstr("409"));
  for (const char* name : {"../up", "a/b", ".hidden", ""}) {
    const Finished refused = run({"backup", "--to", name});
    EXPECT_EQ(refused.status, exited(1)) << name;
    EXPECT_THAT(refused.err, HasSubstr("400"));
  }
  ApiUser admin = admin_of(server);
  admin.send("POST", "/admin/v1/backups", {}, R"({"name":"one"})")
      .then(409)
      .with_error_naming("directory of this name among the backups");
  admin.send("POST", "/admin/v1/backups", {}, R"({"name":"two","to":"/"})")
      .then(400)
      .with_field_error("to", "Unrecognized key");
  admin.send("POST", "/admin/v1/backups", {}, R"({"name":"made-by-the-api"})").then(202);
  admin.send("POST", "/admin/v1/backups", {}, "[]").then(400);
  admin.send("POST", "/admin/v1/backups", {}, "{").then(400);
}

TEST_F(MaintenanceTest, ARebuildGoesOnBesideReadsAndWrites) {
  for (int i = 0; i < 50; ++i) user.given_contact();
  Changes changes{server, user};
  for (int round = 0; round < 3; ++round) {
    const int before = changes.count();
    const Finished rebuilt = run({"rebuild", "--json"});
    ASSERT_EQ(rebuilt.status, exited(0)) << rebuilt.err;
    EXPECT_EQ(text_at(json_lines(rebuilt.out).at(0), "state"), "done");
    while (changes.count() < before + 5) std::this_thread::yield();
  }
  changes.stop();
  const std::string live = contacts(user);
  const std::string history =
      user.send("GET", contact_path(changes.contact().id) + "/history").body();
  EXPECT_EQ(server.stop(), exited(0));
  EXPECT_TRUE(std::filesystem::exists(server.data_dir() / "projections" / "CURRENT"));
  EXPECT_FALSE(std::filesystem::exists(server.data_dir() / "projections-1"));
  server.start();
  user.move_to(server.port());
  EXPECT_EQ(contacts(user), live);
  EXPECT_EQ(user.send("GET", contact_path(changes.contact().id) + "/history").body(), history);
}

TEST_F(MaintenanceTest, AServerKilledWhileItRebuildsStartsOnWhatItHad) {
  constexpr int rounds_max = 50;  // a rebuild may be faster than the kill
  for (int i = 0; i < 1000; ++i) user.given_contact();
  const std::string live = contacts(user);
  int killed_under_way = 0;
  for (int round = 0; round < rounds_max && killed_under_way < 5; ++round) {
    ApiUser admin = admin_of(server);
    admin.send("POST", "/admin/v1/rebuild").then(202);
    // In some rounds as soon as it has begun, in others further on.
    boost::json::object status = admin.send("GET", "/admin/v1/rebuild").then(200).data();
    while (round % 2 == 1 && status.at("state") == "running" && status.at("done") == 0) {
      status = admin.send("GET", "/admin/v1/rebuild").then(200).data();
    }
    killed_under_way += status.at("state") == "running" ? 1 : 0;
    server.kill();
    server.start();
    user.move_to(server.port());
    EXPECT_EQ(contacts(user), live);
    for (const auto& entry : std::filesystem::directory_iterator(server.data_dir())) {
      EXPECT_FALSE(entry.path().filename().string().starts_with("projections-")) << entry.path();
    }
  }
  EXPECT_EQ(killed_under_way, 5);
}

TEST_F(MaintenanceTest, TheAdminApiTellsHowFarItIs) {
  ApiUser admin = admin_of(server);
  for (const char* target : {"/admin/v1/backups", "/admin/v1/rebuild"}) {
    const auto idle = admin.send("GET", target).then(200).data();
    EXPECT_EQ(idle.at("state"), "idle");
    EXPECT_TRUE(idle.at("started_at").is_null());
    admin.send("HEAD", target).then(200);
    admin.send("OPTIONS", target).then(204).with_header("Allow");
    user.send("GET", target).then(401);
    admin.send("GET", std::string{target} + "?x=1").then(400);
  }
  admin.send("POST", "/admin/v1/rebuild").then(202);
  ASSERT_EQ(run({"rebuild"}).status, exited(0));
  const auto done = admin.send("GET", "/admin/v1/rebuild").then(200).data();
  EXPECT_EQ(done.at("state"), "done");
  EXPECT_EQ(done.at("unit"), "records");
  EXPECT_FALSE(done.at("ended_at").is_null());
  user.send("POST", "/admin/v1/rebuild").then(401);
  user.send("POST", "/admin/v1/backups", {}, R"({"name":"one"})").then(401);
  admin.send("POST", "/admin/v1/rebuild?x=1").then(400);
}

}  // namespace
}  // namespace contactd::test
