// A log that lacks what was folded from it: an old backup, or another server's directory.

#include <gmock/gmock.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <thread>

#include "infra/embedded_event_log.hpp"
#include "infra/writer.hpp"
#include "projections/binary.hpp"
#include "projections/key_layout.hpp"
#include "tests/support/api_fixture.hpp"
#include "tests/support/temporary_directory.hpp"

namespace contactd::test {
namespace {

namespace fs = std::filesystem;

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using State = infra::Writer::Status::State;

constexpr std::chrono::seconds state_wait_max{30};

// Runs a writer until it serves or has given up.
infra::Writer::Status status_after_start(const std::filesystem::path& log_directory,
                                         const std::filesystem::path& store_directory) {
  const auto log = infra::open_embedded_event_log(log_directory);
  const auto store = infra::open_read_store(store_directory);
  infra::Metrics metrics;
  infra::Writer writer{0, {}, *log, *store, metrics, infra::system_time};
  writer.start();
  writer.take();
  const auto deadline = std::chrono::steady_clock::now() + state_wait_max;
  infra::Writer::Status status = writer.status();
  while (status.state != State::serving && status.state != State::stopped &&
         std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
    status = writer.status();
  }
  return status;
}

TEST(LostLog, StopsThePartitionUntilTheProjectionsAreMadeAnew) {
  const TemporaryDirectory directory;
  const auto store = directory.path() / "projections";
  // Each start appends the record of its claim.
  for (int start = 0; start < 3; ++start) {
    EXPECT_EQ(status_after_start(directory.path() / "log", store).state, State::serving);
  }
  const auto other_log = directory.path() / "other-log";
  // However often it is tried: an attempt must not make the log longer.
  for (int start = 0; start < 5; ++start) {
    const auto status = status_after_start(other_log, store);
    EXPECT_EQ(status.state, State::stopped);
    EXPECT_NE(status.detail.find("remove the projections"), std::string::npos) << status.detail;
  }

  std::filesystem::remove_all(store);
  EXPECT_EQ(status_after_start(other_log, store).state, State::serving);
}

fs::path table_in(const fs::path& database) {
  for (const auto& file : fs::directory_iterator{database}) {
    if (file.path().extension() == ".sst") return file.path();
  }
  throw std::runtime_error{"no table in " + database.string()};
}

void make_of_another_format(const fs::path& projections) {
  const auto store = infra::open_read_store(projections);
  std::string format;
  projections::append_number(format, projections::format_version + 1);
  const auto batch = store->begin();
  batch->put(projections::Table::meta, std::string{projections::keys::format}, format);
  batch->commit();
  store->flush();
}

std::map<std::string, std::string> content_of(const fs::path& directory) {
  std::map<std::string, std::string> files;
  for (const auto& file : fs::directory_iterator{directory}) {
    files[file.path().filename()] = read_whole_file(file.path());
  }
  return files;
}

// A server with a contact, stopped: what its data directory has lost is then another matter.
class StartOnDamage : public ::testing::Test {
 protected:
  void SetUp() override {
    contact_ = user_.given_contact();
    EXPECT_EQ(server_.stop(), exited(0));
  }
  Finished start() const {
    return run_program({contactd_binary(), "serve", "--listen", "127.0.0.1:0", "--data-dir",
                        server_.data_dir().string()});
  }
  // The start says that and changes nothing of the projections; with the log of before it shows
  // what there was.
  void expect_refused(const std::string& sentence) {
    const auto before = content_of(projections_);
    const Finished refused = start();
    EXPECT_EQ(refused.status, exited(1)) << refused.err;
    EXPECT_THAT(refused.err, HasSubstr(sentence));
    EXPECT_EQ(content_of(projections_), before);
  }
  void expect_all_there() {
    server_.start();
    ApiUser{server_.port(), user_.key()}.read(contact_.id).then(200);
    EXPECT_EQ(server_.stop(), exited(0));
  }

  ServerProcess server_{{{"--log", "embedded"}, {}}};
  ApiUser user_ = given_user(server_);
  Contact contact_;
  const fs::path log_ = server_.data_dir() / "log";
  const fs::path away_ = server_.data_dir() / "log-away";
  const fs::path projections_ = server_.data_dir() / "projections";
};

const std::vector<std::function<void(const fs::path&)>>& damages() {
  static const std::vector<std::function<void(const fs::path&)>> all = {
      make_of_another_format,
      [](const fs::path& projections) { fs::remove(table_in(projections)); },
      [](const fs::path& projections) { fs::remove(projections / "CURRENT"); }};
  return all;
}

TEST_F(StartOnDamage, ProjectionsThatCannotBeUsedStayWhereTheLogIsLost) {
  for (const auto& damage : damages()) {
    damage(projections_);
    fs::rename(log_, away_);
    expect_refused("there are projections but no log");
    EXPECT_FALSE(fs::exists(log_));

    fs::create_directory(log_);
    expect_refused("it has lost records");

    fs::remove_all(log_);
    fs::rename(away_, log_);
    expect_all_there();
  }
}

// A rebuild's projections are put in their place by the next start, which a crash may have left
// to do: that start is one.
TEST_F(StartOnDamage, OfSeveralStartsAtOnceOneGoesOnAndTheOthersSaySo) {
  fs::rename(projections_, server_.data_dir() / "projections-1");
  std::ofstream{server_.data_dir() / "projections.current"} << "projections-1\n";
  constexpr std::size_t at_once = 6;
  std::vector<std::unique_ptr<ChildProcess>> starts;
  starts.reserve(at_once);
  const TemporaryDirectory said;
  for (std::size_t i = 0; i < at_once; ++i) {
    starts.push_back(std::make_unique<ChildProcess>(
        ChildProcess::Options{{contactd_binary(), "serve", "--listen", "127.0.0.1:0", "--data-dir",
                               server_.data_dir().string()},
                              {},
                              said.path() / std::to_string(i),
                              {}}));
  }
  int ready = 0;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    if (starts[i]->read_line(ServerProcess::start_wait_max)) {
      ++ready;
      continue;
    }
    EXPECT_EQ(starts[i]->wait(ServerProcess::stop_wait_max), exited(1));
    EXPECT_THAT(read_whole_file(said.path() / std::to_string(i)),
                HasSubstr("another contactd runs on " + server_.data_dir().string()));
  }
  EXPECT_EQ(ready, 1);
  starts.clear();
  expect_all_there();
}

TEST_F(StartOnDamage, ADamagedLogIsRefusedWithWhatToDo) {
  expect_all_there();  // and so it has a table
  const fs::path table = table_in(log_);
  fs::rename(table, away_);
  expect_refused("restore the log from a backup");

  std::ofstream{table} << "short";
  expect_refused("restore the log from a backup");

  fs::rename(away_, table);
  expect_all_there();
}

// Root may look at everything: what it runs as somebody else may not.
TEST_F(StartOnDamage, WhoMayNotReadTheFilesIsToldWhoMay) {
  std::vector<std::string> other = {"/usr/bin/setpriv", "--reuid=65534", "--regid=65534",
                                    "--clear-groups"};
  if (geteuid() != 0) GTEST_SKIP() << "only root can run a server as somebody else";
  // Where the build lies others may not be able to go.
  const fs::path binary = server_.data_dir().parent_path() / "contactd";
  fs::copy_file(contactd_binary(), binary);
  other.push_back(binary.string());
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), other.begin(), other.end());
    return run_program(arguments);
  };
  fs::permissions(server_.data_dir().parent_path(), fs::perms::all);
  ASSERT_EQ(run({"--help"}).status, exited(0)) << "nobody else can run the binary";
  fs::permissions(server_.data_dir(), fs::perms::all);
  for (const auto& entry : fs::recursive_directory_iterator{server_.data_dir()}) {
    fs::permissions(entry.path(), fs::perms::all);
  }
  for (const auto& forbidden : {log_, log_ / "LOCK", projections_ / "CURRENT", projections_}) {
    fs::permissions(forbidden, fs::perms::owner_all);
    const Finished refused =
        run({"serve", "--listen", "127.0.0.1:0", "--data-dir", server_.data_dir().string()});
    EXPECT_EQ(refused.status, exited(1)) << forbidden;
    EXPECT_THAT(refused.err,
                AllOf(HasSubstr("Permission denied"), HasSubstr("run this as the user"),
                      Not(HasSubstr("disk at fault"))))
        << forbidden;
    fs::permissions(forbidden, fs::perms::all);
  }
}

TEST_F(StartOnDamage, ProjectionsThatCannotBeUsedStayWhereTheLogCannotBeRead) {
  for (const auto& damage : damages()) {
    damage(projections_);
    fs::rename(log_ / "CURRENT", away_);
    expect_refused("lacks the file CURRENT");

    fs::rename(away_, log_ / "CURRENT");
    expect_all_there();
  }
}

}  // namespace
}  // namespace contactd::test
