#include <gmock/gmock.h>

#include <fstream>

#include "tests/api/commands.hpp"

// The commands that the README tells operators are run as they stand there.
namespace contactd::test {
namespace {

constexpr std::chrono::milliseconds commands_wait_max{120'000};

// What stands in the code blocks of a section.
std::string commands_of(const std::string& readme, const std::string& heading) {
  const std::size_t begin = readme.find("\n" + heading + "\n");
  if (begin == std::string::npos) return {};
  const std::string section =
      readme.substr(begin, readme.find("\n## ", begin + heading.size()) - begin);
  std::string commands;
  constexpr std::string_view open = "\n```sh\n";
  constexpr std::string_view close = "\n```\n";
  for (std::size_t at = section.find(open); at != std::string::npos;) {
    const std::size_t end = section.find(close, at + open.size());
    commands += section.substr(at + open.size(), end - at - open.size()) + '\n';
    at = section.find(open, end);
  }
  return commands;
}

void replace(std::string& text, const std::string& what, const std::string& with) {
  const std::size_t at = text.find(what);
  ASSERT_NE(at, std::string::npos) << what;
  text.replace(at, what.size(), with);
}

TEST(Readme, TheOperatorsCommandsWork) {
  ServerProcess server;
  ApiUser user = given_user(server, "write", "acme");
  const Contact contact = user.given_contact(R"({"first_name":"Ann","email":"ann@x.io"})");
  user.given_patched(contact.id, R"({"company":"Acme"})");
  const TemporaryDirectory directory;
  std::filesystem::create_symlink(server.data_dir(), directory.path() / "contactd-data");
  std::filesystem::create_directory(directory.path() / "bin");
  std::filesystem::create_symlink(contactd_binary(), directory.path() / "bin" / "contactd");

  std::string commands = commands_of(read_whole_file(CONTACTD_README), "## Operate the log");
  replace(commands, "--listen 127.0.0.1:8081", "--listen 127.0.0.1:0");  // whichever is free
  // What it has started in the background ends with it.
  const std::string script = "set -eu\ntrap 'kill $!' EXIT\n" + commands;
  const Finished done =
      run_program({"/bin/sh", "-c", script},
                  {{"PATH", (directory.path() / "bin").string() + ":/usr/bin:/bin"},
                   {"CONTACTD_SERVER", server.url()},
                   {"KEY", user.key()},
                   {"ID", contact.id}},
                  directory.path(), commands_wait_max);
  EXPECT_EQ(done.status, exited(0)) << done.out << done.err;
  EXPECT_THAT(done.out, testing::HasSubstr("company: null -> \"Acme\""));
  EXPECT_TRUE(
      std::filesystem::exists(directory.path() / "contactd-data-restored" / "log" / "CURRENT"));
  EXPECT_THAT(read_whole_file(directory.path() / "contactd-data-export.csv"),
              testing::HasSubstr("ann@x.io"));
}

}  // namespace
}  // namespace contactd::test
