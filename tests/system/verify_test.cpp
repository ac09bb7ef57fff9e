// `contactd verify`, on the data of a real server.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <map>
#include <vector>

#include "infra/read_store.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/system/some_contacts.hpp"

namespace contactd::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr int contacts_written = 12;

class Verify : public testing::Test {
 protected:
  Verify() { write_some_contacts(server_, contacts_written); }

  Finished verify(std::vector<std::string> flags = {}) const {
    flags.insert(flags.begin(),
                 {contactd_binary(), "verify", "--data-dir", server_.data_dir().string()});
    return run_program(std::move(flags));
  }
  boost::json::value verify_json(int status) const {
    const Finished finished = verify({"--json"});
    EXPECT_EQ(finished.status, exited(status)) << finished.out << finished.err;
    EXPECT_THAT(finished.err, IsEmpty());
    return boost::json::parse(finished.out);
  }
  std::string head() const {
    const auto found = verify_json(0);
    return std::string{found.at("partitions").at(0).at("head").as_string()};
  }

  ServerProcess server_{{{"--log", "embedded"}, {}}};
};

TEST_F(Verify, ProvesALogAndItsProjections) {
  server_.stop();
  const Finished good = verify();
  EXPECT_EQ(good.status, exited(0)) << good.err;
  EXPECT_THAT(good.out, HasSubstr("\nhead 0:"));
  EXPECT_THAT(good.out, HasSubstr("equal to a fresh replay's\ngood\n"));
  EXPECT_THAT(good.err, HasSubstr("checking the log's chain: "));
  EXPECT_THAT(good.err, HasSubstr("folding the log anew: "));

  const auto found = verify_json(0);
  EXPECT_TRUE(found.at("good").as_bool());
  const auto& partition = found.at("partitions").at(0);
  // A key, and two events a contact, and those that were deleted; and two claims.
  const std::int64_t events = 1 + 2 * contacts_written + (contacts_written + 6) / 7;
  EXPECT_EQ(partition.at("proven").as_int64(), events);
  EXPECT_EQ(partition.at("chained").as_int64(), events + 2);
  EXPECT_EQ(partition.at("not_applied").as_int64(), 0);
  EXPECT_FALSE(std::filesystem::exists(server_.data_dir() / "verify.tmp"));
}

// Each file below the directory: what is in it, and when it was last written to.
std::map<std::string, std::pair<std::string, std::filesystem::file_time_type>> files_below(
    const std::filesystem::path& directory) {
  std::map<std::string, std::pair<std::string, std::filesystem::file_time_type>> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator{directory}) {
    if (!entry.is_regular_file()) continue;
    files[entry.path().string()] = {read_whole_file(entry.path()), entry.last_write_time()};
  }
  return files;
}

TEST_F(Verify, ChangesNothingOfWhatItLooksAt) {
  server_.stop();
  const TemporaryDirectory scratch;
  const auto before = files_below(server_.data_dir());
  for (const auto& place : {scratch.path(), scratch.path() / "new"}) {
    EXPECT_EQ(verify({"--scratch", place.string()}).status, exited(0));
  }
  EXPECT_EQ(files_below(server_.data_dir()), before);
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
}

TEST_F(Verify, ProvesThatALogStillHasAHeadThatWasKept) {
  server_.stop();
  const std::string kept = head();
  server_.start();
  write_some_contacts(server_, 1);
  server_.stop();
  const std::string later = head();
  EXPECT_NE(later, kept);
  const Finished both = verify({"--expect", kept, "--expect", later});
  EXPECT_EQ(both.status, exited(0));
  for (const std::string& one : {kept, later}) {
    EXPECT_THAT(both.out, HasSubstr("\nhead " + one + ": still there\n"));
  }

  std::string forged = kept;
  forged.back() = forged.back() == '0' ? '1' : '0';
  const Finished differs = verify({"--expect", forged});
  EXPECT_EQ(differs.status, exited(1));
  EXPECT_THAT(differs.out, HasSubstr("bad: "));
  EXPECT_THAT(differs.out, HasSubstr(forged));
  const Finished lost =
      verify({"--log-only", "--expect", "0:100000" + kept.substr(kept.rfind(':'))});
  EXPECT_EQ(lost.status, exited(1));
  EXPECT_THAT(lost.out, HasSubstr("it has lost records"));
}

TEST_F(Verify, SaysWhatIsWrongWithTheCommandLine) {
  server_.stop();
  for (const char* head : {"", "1", "0:1", "0:1:xyz", "a:1:00", "0:1:"}) {
    const Finished refused = verify({"--expect", head});
    EXPECT_EQ(refused.status, exited(2)) << head;
    EXPECT_THAT(refused.err, HasSubstr("PARTITION:OFFSET:HASH"));
  }
  const Finished partition = verify({"--expect", "1:1:" + std::string(64, '0')});
  EXPECT_EQ(partition.status, exited(2));
  EXPECT_THAT(partition.err, HasSubstr("the log has 1 partitions"));
}

TEST_F(Verify, LooksAtTheLogAloneBesideARunningServer) {
  const Finished refused = verify();
  EXPECT_EQ(refused.status, exited(3));
  EXPECT_THAT(refused.out, HasSubstr("not verified: another contactd runs on"));
  EXPECT_THAT(refused.out, HasSubstr("--log-only"));
  const Finished good = verify({"--log-only"});
  EXPECT_EQ(good.status, exited(0)) << good.out << good.err;
  EXPECT_THAT(good.out, HasSubstr("projections: not looked at"));
  EXPECT_TRUE(verify_json(3).at("good").is_null());
}

TEST_F(Verify, WhatCanNotBeLookedAtIsNeitherGoodNorBad) {
  server_.stop();
  const Finished no_log = run_program(
      {contactd_binary(), "verify", "--data-dir", (server_.data_dir() / "none").string()});
  EXPECT_EQ(no_log.status, exited(3));
  EXPECT_THAT(no_log.out, HasSubstr("not verified: there is no embedded log in"));
}

TEST_F(Verify, ShowsTheFirstDifferenceOfTheProjections) {
  server_.stop();
  {
    const auto store = infra::open_read_store(server_.data_dir() / "projections");
    const auto batch = store->begin();
    batch->put(projections::Table::emails, std::string{"acme\0z@example.com", 18}, "nobody");
    batch->commit();
  }
  const Finished differs = verify();
  EXPECT_EQ(differs.status, exited(1));
  EXPECT_THAT(differs.out, HasSubstr("table emails, key 'acme\\x00z@example.com'"));
  EXPECT_THAT(differs.out, HasSubstr("is then made anew from the log"));
  const auto found = verify_json(1);
  EXPECT_FALSE(found.at("good").as_bool());
  EXPECT_THAT(std::string{found.at("problem").as_string()}, HasSubstr("table emails"));

  std::filesystem::remove_all(server_.data_dir() / "projections");
  const Finished none = verify();
  EXPECT_EQ(none.status, exited(0));
  EXPECT_THAT(none.out, HasSubstr("there are none in " + server_.data_dir().string()));
  server_.start();
  server_.stop();
  EXPECT_EQ(verify().status, exited(0)) << "they were made anew";
}

Finished serve(const std::filesystem::path& data) {
  return run_program({contactd_binary(), "serve", "--listen", "127.0.0.1:0", "--log", "embedded",
                      "--data-dir", data.string()});
}

// Of as many records as its own, and with keys and contacts of somebody else's.
TEST_F(Verify, AServerRefusesProjectionsOfAnotherEmbeddedLog) {
  ServerProcess other{{{"--log", "embedded"}, {}}};
  write_some_contacts(other, contacts_written);
  other.stop();
  server_.stop();
  const auto projections = server_.data_dir() / "projections";
  std::filesystem::rename(projections, server_.data_dir() / "own");
  std::filesystem::copy(other.data_dir() / "projections", projections,
                        std::filesystem::copy_options::recursive);
  const Finished refused = serve(server_.data_dir());
  EXPECT_EQ(refused.status, exited(1));
  EXPECT_THAT(refused.err, HasSubstr("aren't of the log in"));
  EXPECT_EQ(verify().status, exited(1));

  std::filesystem::remove_all(projections);
  std::filesystem::rename(server_.data_dir() / "own", projections);
  for (int starts_without_a_change = 0; starts_without_a_change < 3; ++starts_without_a_change) {
    server_.start();
    server_.stop();
  }
  EXPECT_EQ(verify().status, exited(0));
}

// In a log that has all in tables, as one from a backup has, nothing follows what is lost.
TEST_F(Verify, FindsATableOfTheLogThatIsMissingOrDamaged) {
  const Finished made =
      run_program({contactd_binary(), "backup", "--to", "one", "--url", server_.url()},
                  {{"CONTACTD_ADMIN_KEY", server_.admin_key()}});
  ASSERT_EQ(made.status, exited(0)) << made.err;
  const auto remove = [](const std::filesystem::path& table) { std::filesystem::remove(table); };
  const auto cut = [](const std::filesystem::path& table) {
    std::filesystem::resize_file(table, std::filesystem::file_size(table) - 1);
  };
  const auto flip = [](const std::filesystem::path& table) {
    std::string bytes = read_whole_file(table);
    bytes[100] ^= 1;
    std::ofstream{table, std::ios::binary} << bytes;
  };
  for (const auto& harm :
       std::vector<std::function<void(const std::filesystem::path&)>>{remove, cut, flip}) {
    const TemporaryDirectory place;
    const std::string data = (place.path() / "data").string();
    const std::string backup = (server_.data_dir() / "backups" / "one").string();
    ASSERT_EQ(
        run_program({contactd_binary(), "restore", "--from", backup, "--data-dir", data}).status,
        exited(0));
    std::filesystem::path table;
    for (const auto& entry : std::filesystem::directory_iterator{data + "/log"}) {
      if (entry.path().extension() == ".sst") table = entry.path();
    }
    ASSERT_FALSE(table.empty());
    harm(table);
    for (const std::vector<std::string>& command :
         {std::vector<std::string>{"verify", "--log-only"},
          {"verify"},
          {"events"},
          {"replay", "--to", (place.path() / "past").string()}}) {
      std::vector<std::string> arguments = {contactd_binary()};
      arguments.insert(arguments.end(), command.begin(), command.end());
      arguments.insert(arguments.end(), {"--data-dir", data});
      const Finished found = run_program(std::move(arguments));
      EXPECT_EQ(found.status, exited(1)) << command.front();
      EXPECT_THAT(found.out + found.err, HasSubstr(data + "/log")) << command.front();
    }
  }
}

// What a crash leaves behind, and then a byte goes bad in the middle: nothing may be forgotten.
TEST_F(Verify, AServerRefusesAHoleInTheWriteAheadLogAndTouchesNothing) {
  server_.kill();
  std::filesystem::path wal;
  for (const auto& entry : std::filesystem::directory_iterator{server_.data_dir() / "log"}) {
    if (entry.path().extension() == ".log" && entry.file_size() > 0) wal = entry.path();
  }
  const std::string before = read_whole_file(wal);
  std::string damaged = before;
  damaged[damaged.size() / 3] = static_cast<char>(damaged[damaged.size() / 3] ^ 1);
  std::ofstream{wal, std::ios::binary} << damaged;
  const Finished refused = serve(server_.data_dir());
  EXPECT_EQ(refused.status, exited(1));
  EXPECT_THAT(refused.err, HasSubstr(wal.string()));
  EXPECT_THAT(refused.err, HasSubstr("restore it from a backup"));
  EXPECT_EQ(read_whole_file(wal), damaged);
  EXPECT_THAT(verify({"--log-only"}).out, HasSubstr(wal.string()));

  std::ofstream{wal, std::ios::binary} << before;
  server_.start();
  server_.stop();
  EXPECT_EQ(verify().status, exited(0));
}

}  // namespace
}  // namespace contactd::test
