#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/support/api_fixture.hpp"
#include "tests/support/temporary_directory.hpp"

// The files of the data directory: whose they are, what may be in them, and what becomes of damage.
namespace contactd::test {
namespace {

namespace fs = std::filesystem;

TEST(Operations, AShortKeyInAFileOfItsOwnIsRefused) {
  for (const std::string name : {"admin.key", "webhook.key"}) {
    const TemporaryDirectory directory;
    std::ofstream{directory.path() / name} << "short\n";
    const Finished refused =
        run_program({contactd_binary(), "serve", "--data-dir", directory.path().string()});
    EXPECT_EQ(refused.status, exited(1));
    EXPECT_NE(refused.err.find("too short"), std::string::npos) << refused.err;
  }
}

TEST(Operations, AKeyFileWithoutAKeyIsRefusedWithWhatToDo) {
  for (const std::string name : {"admin.key", "webhook.key"}) {
    const TemporaryDirectory directory;
    const auto start = [&] {
      return run_program({contactd_binary(), "serve", "--data-dir", directory.path().string()});
    };
    std::ofstream{directory.path() / name} << "";
    const Finished empty = start();
    EXPECT_EQ(empty.status, exited(1));
    EXPECT_NE(empty.err.find("it is empty; write it there"), std::string::npos) << empty.err;

    fs::remove(directory.path() / name);
    fs::create_directory(directory.path() / name);
    const Finished no_file = start();
    EXPECT_EQ(no_file.status, exited(1));
    EXPECT_NE(no_file.err.find("it is a directory; give a file"), std::string::npos) << no_file.err;
  }
}

TEST(Operations, ItsFilesAreForTheOwnerAlone) {
  const mode_t before = umask(0);
  ServerProcess server;
  umask(before);
  given_user(server).given_contact();
  EXPECT_EQ(server.stop(), exited(0));
  std::size_t seen = 0;
  const auto expect_private = [&](const fs::path& path) {
    ++seen;
    const auto others = fs::perms::group_all | fs::perms::others_all;
    EXPECT_EQ(fs::status(path).permissions() & others, fs::perms::none) << path;
  };
  expect_private(server.data_dir());
  for (const auto& entry : fs::recursive_directory_iterator{server.data_dir()}) {
    expect_private(entry.path());
  }
  EXPECT_GT(seen, 5U);
}

// Flips a bit of the contact's row in the projections' files.
void damage_row_of(const Contact& contact, const fs::path& projections) {
  const std::string row = R"({"id":")" + contact.id;
  for (const auto& entry : fs::directory_iterator{projections}) {
    std::string bytes = read_whole_file(entry.path());
    const std::size_t at = bytes.find(row);
    if (at == std::string::npos) continue;
    bytes[at + row.size() / 2] ^= 0x10;
    std::ofstream{entry.path(), std::ios::binary} << bytes;
    return;
  }
  FAIL() << "no row of the contact";
}

TEST(Operations, ADamagedRowIsNeverServedAndDisturbsNobodyElse) {
  ServerProcess server;
  ApiUser user = given_user(server, "write", "acme");
  ApiUser other = given_user(server, "write", "zenith");
  const Contact sound = other.given_contact();
  // The first row of the table, and the last: between them are more than one block's.
  std::vector<Contact> rows(100);
  for (Contact& row : rows) row = user.given_contact(R"({"first_name":"Ann"})");
  const Contact damaged = *std::min_element(
      rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  EXPECT_EQ(server.stop(), exited(0));
  damage_row_of(damaged, server.data_dir() / "projections");
  server.start();
  ApiUser reader{server.port(), user.key()};
  ApiUser writer{server.port(), other.key()};
  const double claims = metric(reader, "contactd_log_claims_total");
  reader.read(damaged.id).then(503);
  for (int i = 0; i < 5; ++i) {
    reader.patch(damaged.id, R"({"first_name":"Bea"})").then(503);
    writer.patch(sound.id, R"({"company":")" + std::to_string(i) + R"("})").then(200);
  }
  EXPECT_EQ(metric(reader, "contactd_log_claims_total"), claims);

  const Finished rebuilt = run_program({contactd_binary(), "rebuild", "--url", server.url()},
                                       {{"CONTACTD_ADMIN_KEY", server.admin_key()}});
  EXPECT_EQ(rebuilt.status, exited(0)) << rebuilt.err;
  reader.read(damaged.id).then(200).with_field("first_name", "Ann");
}

}  // namespace
}  // namespace contactd::test
