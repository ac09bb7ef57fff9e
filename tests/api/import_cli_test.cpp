#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "tests/api/commands.hpp"
#include "tests/support/suites.hpp"

// `contactd import`, `export` and `history`, which are clients of a running server.
namespace contactd::test {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr std::chrono::milliseconds import_wait_max{60'000};

class ImportCommand : public ApiTest {
 protected:
  Finished run(const ApiUser& as, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), contactd_binary());
    arguments.insert(arguments.end(), {"--url", shared_server().url()});
    return run_program(std::move(arguments), {{"CONTACTD_KEY", as.key()}}, {}, import_wait_max);
  }
  Finished import(const std::string& file, std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(), {"import", file});
    return run(user, std::move(flags));
  }
  std::string file(const std::string& name, std::string_view text) {
    const auto path = directory_.path() / name;
    std::ofstream{path, std::ios::binary} << text;
    return path.string();
  }
  std::string path_of(const std::string& name) { return (directory_.path() / name).string(); }
  std::int64_t contacts(ApiUser& of) {
    return of.list("page_size=1").then(200).json().at_pointer("/pagination/total").to_number<int>();
  }
  std::int64_t contacts() { return contacts(user); }
  // The only contact with that email.
  json::object by_email(const std::string& email) {
    const auto found = user.list("email=" + email).then(200).json().at("data").as_array();
    EXPECT_EQ(found.size(), 1U) << email;
    return found.empty() ? json::object{} : found.front().as_object();
  }

 private:
  TemporaryDirectory directory_;
};

TEST_F(ImportCommand, CreatesAContactOfEachRow) {
  const std::string csv = file("a.csv",
                               "email,first_name,tags,company\r\n"
                               "a@x.io,Ann,vip;speaker,\r\n"
                               "b@x.io,\"Bo\r\nB\",,\"\"\r\n");
  const Finished done = import(csv);
  EXPECT_EQ(done.status, exited(0)) << done.err;
  EXPECT_THAT(done.out, AllOf(StartsWith("line 2: created "), HasSubstr("\nline 3: created "),
                              HasSubstr("2 created, 0 refused, 0 unchanged, 0 updated\n")));
  const json::object ann = by_email("a@x.io");
  EXPECT_EQ(ann.at("tags"), (json::array{"vip", "speaker"}));
  EXPECT_TRUE(ann.at("company").is_null());
  const json::object bo = by_email("b@x.io");
  EXPECT_EQ(bo.at("first_name"), "Bo\r\nB");
  EXPECT_EQ(bo.at("company"), "");
}

TEST_F(ImportCommand, SentAgainIsAnsweredAsBefore) {
  const std::string jsonl = file("a.jsonl", "{\"first_name\":\"Ann\"}\n{\"first_name\":\"Ann\"}\n");
  const Finished first = import(jsonl);
  EXPECT_EQ(first.status, exited(0)) << first.err;
  EXPECT_EQ(contacts(), 2);
  const Finished again = import(jsonl);
  EXPECT_EQ(again.status, exited(0)) << again.err;
  EXPECT_EQ(again.out, first.out);
  EXPECT_EQ(contacts(), 2);
  EXPECT_EQ(import(jsonl, {"--run", "second", "--from-line", "2"}).status, exited(0));
  EXPECT_EQ(contacts(), 3);
}

TEST_F(ImportCommand, ReportsWhatIsRefusedAndGoesOn) {
  const std::string jsonl = file("a.jsonl",
                                 "{\"email\":\"a@x.io\"}\n"
                                 "{\"email\":\"A@x.io\"}\n"
                                 "{\"shoe_size\":43}\n"
                                 "{\"email\":\n"
                                 "[]\n"
                                 "\n"
                                 "{\"email\":\"b@x.io\",\"id\":\"ignored\",\"company\":null}\n");
  const Finished done = import(jsonl, {"--json"});
  EXPECT_EQ(done.status, exited(1)) << done.err;
  EXPECT_THAT(done.err, IsEmpty());
  const auto reports = json_lines(done.out);
  ASSERT_EQ(reports.size(), 7U) << done.out;
  const std::vector<std::tuple<int, std::string, std::string>> expected = {
      {1, "created", ""},     {2, "refused", "email"},  {3, "refused", "shoe_size"},
      {4, "refused", "JSON"}, {5, "refused", "object"}, {7, "created", ""}};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto& [line, outcome, part] = expected[i];
    EXPECT_EQ(reports[i].at("line"), line);
    EXPECT_EQ(text_at(reports[i], "outcome"), outcome);
    EXPECT_THAT(text_at(reports[i], "error"), HasSubstr(part));
  }
  EXPECT_EQ(reports.back(),
            (json::object{{"created", 2}, {"refused", 4}, {"unchanged", 0}, {"updated", 0}}));
  const Finished quiet = import(jsonl, {"--quiet"});
  EXPECT_THAT(quiet.out, AllOf(StartsWith("line 2: refused"), Not(HasSubstr("line 1:")),
                               HasSubstr("line 3: refused: Invalid request body: "),
                               Not(HasSubstr("formErrors"))));
}

// As a request it would be cut off by the server, and the import with it.
TEST_F(ImportCommand, ReportsWhatIsTooLargeToSendAndGoesOn) {
  const std::string large(300'000, 'x');
  const std::string huge(5'000'000, 'x');
  const std::string jsonl = "{\"first_name\":\"" + large + "\"}\n{\"first_name\":\"" + huge +
                            "\"}\n{\"first_name\":\"Ann\"}\n";
  const std::string csv = "first_name\n" + large + "\n\"" + huge + "\n\"\nAnn\n";
  for (const auto& [name, last] : {std::pair{file("a.jsonl", jsonl), 3}, {file("a.csv", csv), 5}}) {
    const Finished done = import(name);
    EXPECT_EQ(done.status, exited(1)) << done.err;
    EXPECT_THAT(done.out, HasSubstr(": refused: too large; the server takes at most 262144 bytes"));
    EXPECT_THAT(done.out, HasSubstr("line " + std::to_string(last) + ": created"));
    EXPECT_THAT(done.out, HasSubstr("1 created, 2 refused"));
  }
}

TEST_F(ImportCommand, ReadsStandardInput) {
  for (const auto& [format, text] :
       {std::pair{"csv", "first_name\r\nAnn\r\n\"B\r\n\"\r\n"},
        {"jsonl", "{\"first_name\":\"Ann\"}\r\n{\"first_name\":\"B\"}"}}) {
    // In two pieces, of which the first ends in the middle of a line end.
    const std::string command =
        "f=" + file("in", text) + "; { head -c 11 $f; tail -c +12 $f; } | " + contactd_binary() +
        " import - --run " + format + " --format " + format + " --url " + shared_server().url();
    const Finished done = run_program({"/bin/sh", "-c", command}, {{"CONTACTD_KEY", user.key()}},
                                      {}, import_wait_max);
    EXPECT_EQ(done.status, exited(0)) << done.err;
    EXPECT_THAT(done.out, HasSubstr("2 created, 0 refused"));
  }
  const Finished unknown = import("-");
  EXPECT_EQ(unknown.status, exited(2));
  EXPECT_THAT(unknown.err, HasSubstr("say with --format whether standard input is csv or jsonl"));
}

TEST_F(ImportCommand, UpdatesByEmailInTheOrderOfTheFile) {
  const Contact ann = user.given_contact(R"({"email":"ann@x.io","company":"Acme","github":"ann"})");
  std::string rows = "email,company\n";
  for (int i = 0; i < 30; ++i) rows += "Ann@x.io,c" + std::to_string(i) + "\n";
  const Finished done = import(file("a.csv", rows + "ann@x.io,c29\nnew@x.io,\n"), {"--update"});
  EXPECT_EQ(done.status, exited(0)) << done.out;
  EXPECT_THAT(done.out, HasSubstr("1 created, 0 refused, 1 unchanged, 30 updated\n"));
  user.read(ann.id).then(200).with_field("company", text("c29")).with_field("github", text("ann"));
}

// Whatever has become of the contacts since.
TEST_F(ImportCommand, AnUpdateSentAgainIsReportedAsItWasThen) {
  const Contact changed = user.given_contact(R"({"email":"a@x.io","company":"Acme"})");
  const Contact same = user.given_contact(R"({"email":"b@x.io","company":"b"})");
  const Contact gone = user.given_contact(R"({"email":"c@x.io","company":"Acme"})");
  const std::string csv = file("a.csv", "email,company\na@x.io,a\nb@x.io,b\nc@x.io,c\n");
  const Finished first = import(csv, {"--update"});
  EXPECT_THAT(
      first.out,
      AllOf(HasSubstr("line 2: updated " + changed.id), HasSubstr("line 3: unchanged " + same.id),
            HasSubstr("line 4: updated " + gone.id), HasSubstr("1 unchanged, 2 updated")));
  user.given_patched(same.id, R"({"company":"later"})");
  for (int i = 0; i < 250; ++i)
    user.given_patched(changed.id, R"({"last_name":")" + std::to_string(i) + R"("})");
  user.remove(gone.id).then(200);
  const Finished again = import(csv, {"--update"});
  EXPECT_EQ(again.status, exited(0)) << again.out;
  EXPECT_EQ(again.out, first.out);
  user.read(same.id).then(200).with_field("company", text("later"));
}

TEST_F(ImportCommand, GoesOnWhereItWasKilled) {
  constexpr int rows = 3000;
  std::string csv = "first_name\n";
  for (int i = 0; i < rows; ++i) csv += "n" + std::to_string(i) + "\n";
  const std::string name = file("a.csv", csv);
  const TemporaryDirectory directory;
  {
    ChildProcess killed{{{contactd_binary(), "import", name, "--url", shared_server().url()},
                         {{"CONTACTD_KEY", user.key()}},
                         directory.path() / "stderr",
                         {}}};
    ASSERT_TRUE(killed.read_line(import_wait_max));
    killed.send_signal(SIGKILL);
    killed.wait(import_wait_max);
  }
  const Finished done = import(name, {"--quiet"});
  EXPECT_EQ(done.status, exited(0)) << done.err;
  EXPECT_EQ(done.out, std::to_string(rows) + " created, 0 refused, 0 unchanged, 0 updated\n");
  EXPECT_EQ(contacts(), rows);
}

// The server lets in a few of the rows every few seconds: that is told, and waited for.
TEST_F(ImportCommand, SaysWhatItWaitsFor) {
  ServerProcess server{{{"--rate-limit", "15", "--rate-window-s", "3"}, {}}};
  ApiUser slowed = given_user(server);
  std::string csv = "first_name\n";
  for (int i = 0; i < 20; ++i) csv += "n" + std::to_string(i) + "\n";
  const Finished done = run_program(
      {contactd_binary(), "import", file("a.csv", csv), "--quiet", "--url", server.url()},
      {{"CONTACTD_KEY", slowed.key()}}, {}, import_wait_max);
  EXPECT_EQ(done.status, exited(0)) << done.err;
  EXPECT_THAT(done.out, HasSubstr("20 created, 0 refused"));
  EXPECT_THAT(done.err, HasSubstr("Rate limit exceeded"));
  EXPECT_THAT(done.err, HasSubstr("; trying again for up to 120 s\n"));
}

// Strings that a careless CSV, JSON or shell would change; and those of the list that others made,
// where it is.
std::vector<std::string> naughty_strings() {
  std::vector<std::string> strings = {
      "",           " ",         "\"",           "\"\"",         ",",    ";",          "\\",
      "\\;",        "a;b\\;c\\", "\r",           "\n",           "\r\n", "a\r\nb\"c,", "\t",
      "=1+1",       "null",      "\xEF\xBB\xBF", "\xEF\xAC\x80", "\x7F", "\x01",       "\u2028",
      "\U0001F600", "true",      "0012",         "'; --"};
  const auto suite = find_suite("naughty_strings/strings.json");
  if (suite.empty()) return strings;
  std::ifstream list{suite};
  const std::string text{std::istreambuf_iterator<char>{list}, {}};
  const json::value listed = json::parse(text);
  for (const json::value& one : listed.as_array()) {
    strings.emplace_back(one.as_string());
  }
  return strings;
}

std::vector<std::string> without_servers_members(const std::string& exported, bool csv) {
  std::vector<std::string> contacts;
  if (!csv) {
    for (json::value& contact : json_lines(exported)) {
      for (const char* member : {"id", "created_at", "updated_at"})
        contact.as_object().erase(member);
      contacts.push_back(json::serialize(contact));
    }
  } else {
    // An id is what follows the end of a row; the two times are what precedes one.
    constexpr std::size_t id = 20;
    constexpr std::size_t times = 2 * (24 + 1);
    constexpr std::string_view head = ",created_at,updated_at\r\n";
    std::size_t at = exported.find(head) + head.size();
    while (at < exported.size()) {
      std::size_t end = at;
      for (bool quoted = false; quoted || exported.compare(end, 2, "\r\n") != 0; ++end) {
        if (exported[end] == '"') quoted = !quoted;
      }
      contacts.push_back(exported.substr(at + id, end - times - at - id));
      at = end + 2;
    }
  }
  std::sort(contacts.begin(), contacts.end());
  return contacts;
}

TEST_F(ImportCommand, WhatIsExportedAndImportedIsTheSameToTheByte) {
  const auto strings = naughty_strings();
  int taken = 0;
  for (std::size_t i = 0; i < strings.size(); ++i) {
    const json::object body{{"first_name", strings[i]},
                            {"tags", {strings[i], strings[(i + 1) % strings.size()]}},
                            {"email", "n" + std::to_string(i) + "@x.io"}};
    const Answer made = user.create(json::serialize(body));
    if (made.status() == 201) ++taken;
  }
  user.given_contact(R"({"tags":[""],"company":"","status":"inactive"})");
  EXPECT_GT(taken, 20);
  for (const bool csv : {true, false}) {
    const std::string name = path_of(csv ? "all.csv" : "all.jsonl");
    const Finished out = run(user, {"export", "--out", name});
    ASSERT_EQ(out.status, exited(0)) << out.err;
    ApiUser other = given_user(shared_server());
    const Finished in = run(other, {"import", name, "--quiet"});
    EXPECT_EQ(in.status, exited(0)) << in.out;
    EXPECT_EQ(contacts(other), contacts(user));
    const Finished back = run(other, {"export", "--format", csv ? "csv" : "jsonl"});
    ASSERT_EQ(back.status, exited(0)) << back.err;
    EXPECT_EQ(without_servers_members(back.out, csv),
              without_servers_members(read_whole_file(name), csv));
  }
}

TEST_F(ImportCommand, ExportsWhatWas) {
  const Contact contact = user.given_contact(R"({"first_name":"Ann"})");
  const std::string then = text_at(contact.data, "updated_at");
  user.given_patched(contact.id, R"({"first_name":"Bea"})");
  const Finished now = run(user, {"export"});
  EXPECT_EQ(text_at(json_lines(now.out).at(0), "first_name"), "Bea") << now.err;
  EXPECT_EQ(run(user, {"export", "--at", "2001-01-01T00:00:00Z"}).out, "");
  EXPECT_EQ(json_lines(run(user, {"export", "--at", then}).out).size(), 1U);
}

TEST_F(ImportCommand, ExportReplacesAFileAndWritesIntoWhatIsNone) {
  user.given_contact(R"({"first_name":"Ann"})");
  const std::string made = path_of("made.csv");
  ASSERT_EQ(run(user, {"export", "--out", made}).status, exited(0));
  EXPECT_EQ(fs::status(made).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_EQ(run(user, {"export", "--format", "csv", "--out", "-"}).out, read_whole_file(made));

  const std::string kept = file("kept.csv", "before");
  const auto readable = fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read;
  fs::permissions(kept, readable);
  const std::string link = path_of("link.csv");
  fs::create_symlink(kept, link);
  ASSERT_EQ(run(user, {"export", "--out", link}).status, exited(0));
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(read_whole_file(kept), read_whole_file(made));
  EXPECT_EQ(fs::status(kept).permissions(), readable);

  const Finished full = run(user, {"export", "--out", "/dev/full", "--format", "csv"});
  EXPECT_EQ(full.status, exited(1));
  EXPECT_THAT(full.err, HasSubstr("can't write /dev/full: No space left on device"));
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
  EXPECT_FALSE(fs::exists("/dev/full.partial"));

  const Finished refused = run(ApiUser{shared_server().port(), "wrong"}, {"export", "--out", kept});
  EXPECT_EQ(refused.status, exited(1));
  EXPECT_EQ(read_whole_file(kept), read_whole_file(made));
  EXPECT_FALSE(fs::exists(kept + ".partial"));
}

TEST_F(ImportCommand, ExportSaysWhatIsWrongWithItsFlags) {
  const Finished format = run(user, {"export", "--out", path_of("a.xlsx")});
  EXPECT_EQ(format.status, exited(2));
  EXPECT_THAT(format.err, HasSubstr("say with --format whether " + path_of("a.xlsx")));
  const Finished time = run(user, {"export", "--at", "yesterday"});
  EXPECT_EQ(time.status, exited(2));
  EXPECT_THAT(time.err, HasSubstr("'yesterday' is no time; give one such as 2025-07-15T10:30:00Z"));
  ASSERT_EQ(run(user, {"export", "--out", path_of("A.CSV")}).status, exited(0));
  EXPECT_THAT(read_whole_file(path_of("A.CSV")), StartsWith("id,"));
}

// As after `>&-`; what goes into a file isn't lost.
TEST_F(ImportCommand, AClosedStandardOutputIsAFailureOfWhatIsPrinted) {
  user.given_contact();
  const auto closed = [&](const std::string& flags) {
    return run_program(
        {"/bin/sh", "-c",
         "exec " + contactd_binary() + " export --url " + shared_server().url() + flags + " >&-"},
        {{"CONTACTD_KEY", user.key()}});
  };
  const Finished lost = closed("");
  EXPECT_EQ(lost.status, exited(1));
  EXPECT_THAT(lost.err, HasSubstr("can't write to standard output"));
  EXPECT_EQ(closed(" --out " + path_of("kept.csv")).status, exited(0));
}

TEST_F(ImportCommand, RefusesWhatIsNoCsv) {
  for (const auto& [rows, sentence] :
       {std::pair{"email\n\"a@x.io\n", "line 2: refused: a quoted field has no closing quote"},
        std::pair{"email\n\"a\"b\n", "line 2: refused: a quoted field goes on behind"},
        std::pair{"email\na\"b\n", "line 2: refused: a field has a quote and isn't quoted"},
        std::pair{"email\na\rb\n", "line 2: refused: a field has a carriage return"},
        std::pair{"email,tags\na@x.io,a\\b;c\n", "line 2: refused: its tags have a backslash"},
        std::pair{"email,tags\na@x.io,a\\\n", "line 2: refused: its tags have a backslash"},
        std::pair{"email,company\na@x.io\n", "line 2: refused: it has 1 field, the first row 2"},
        std::pair{"email,company\na@x.io,\xFFx\n", "line 2: refused: its company isn't UTF-8"},
        std::pair{"\xEF\xBB\xBF"
                  "email\n\nnone\n",
                  "line 3: refused: "}}) {
    const Finished refused = import(file("a.csv", rows));
    EXPECT_EQ(refused.status, exited(1)) << rows;
    EXPECT_THAT(refused.out, HasSubstr(sentence)) << rows;
  }
  for (const auto& [rows, sentence] :
       {std::pair{"", "is empty"}, std::pair{"mail\n", "'mail' is none"},
        std::pair{"e\x1B[31m\u202Email\n", "'e\\u001b[31m\\u202email' is none"},
        std::pair{"e\xE2\x1B[31m\n", "'e\uFFFD\\u001b[31m' is none"},
        std::pair{"email;company\na;b\n", "'email;company' is none; what separates them must be a"},
        std::pair{"email,email\n", "names 'email' twice"}}) {
    const Finished refused = import(file("a.csv", rows));
    EXPECT_EQ(refused.status, exited(1)) << rows;
    EXPECT_THAT(refused.err, HasSubstr(sentence)) << rows;
  }
}

// A file whose reading fails isn't one that ends there.
TEST_F(ImportCommand, SaysThatAFileCanNotBeReadOn) {
  for (const char* format : {"csv", "jsonl"}) {
    const Finished broken = import("/proc/self/mem", {"--format", format});
    EXPECT_EQ(broken.status, exited(1)) << format;
    EXPECT_THAT(broken.err,
                HasSubstr("can't read /proc/self/mem from line 1 on: Input/output error; check"));
  }
}

TEST_F(ImportCommand, WithoutAServerAKeyOrAFileItSaysSo) {
  const std::string csv = file("a.csv", "email\na@x.io\n");
  const Finished no_key = contactd({"import", csv});
  EXPECT_EQ(no_key.status, exited(2));
  EXPECT_THAT(no_key.err, HasSubstr("--key-file"));
  const Finished no_format = import(file("a.txt", "email\n"));
  EXPECT_EQ(no_format.status, exited(2));
  EXPECT_THAT(no_format.err, HasSubstr("--format"));
  const Finished directory = import(fs::path{csv}.parent_path().string());
  EXPECT_EQ(directory.status, exited(2));
  EXPECT_THAT(directory.err, HasSubstr("is a directory"));
  const Finished none = import(path_of("none.csv"));
  EXPECT_EQ(none.status, exited(1));
  EXPECT_THAT(none.err, HasSubstr("none.csv: No such file or directory"));
  const Finished no_key_file = contactd({"import", csv, "--key-file", path_of("none")});
  EXPECT_EQ(no_key_file.status, exited(2));
  EXPECT_THAT(no_key_file.err, HasSubstr("none: No such file or directory"));
  const Finished revoked = run(ApiUser{shared_server().port(), "wrong"}, {"import", csv});
  EXPECT_EQ(revoked.status, exited(1));
  EXPECT_THAT(revoked.err, HasSubstr("401"));
  const Finished gone = contactd({"import", csv, "--url", "http://127.0.0.1:1", "--key", "x"});
  EXPECT_EQ(gone.status, exited(1));
  EXPECT_THAT(gone.err, HasSubstr("is the server running there?"));
}

TEST_F(ImportCommand, SaysOnceWhatIsWrongWithALine) {
  const Finished refused = import(file("nul.csv", std::string_view{"first_name\nA\0n\n", 15}));
  EXPECT_EQ(refused.status, exited(1)) << refused.err;
  const std::string& told = refused.out;
  const std::size_t at = told.find("NUL");
  EXPECT_NE(at, std::string::npos) << told;
  EXPECT_EQ(told.find("NUL", at + 1), std::string::npos) << told;
}

TEST_F(ImportCommand, HistoryTellsWhatHappenedToAContact) {
  const Contact contact = user.given_contact(R"({"first_name":"Ann"})");
  user.given_patched(contact.id, R"({"company":"Acme"})");
  user.remove(contact.id).then(200);
  const Finished people = run(user, {"history", contact.id});
  EXPECT_EQ(people.status, exited(0)) << people.err;
  EXPECT_THAT(people.out, AllOf(StartsWith("v3  "), HasSubstr("    company: null -> \"Acme\"\n"),
                                HasSubstr("\nv1  ")));
  const Finished lines = run(user, {"history", contact.id, "--field", "company", "--json"});
  ASSERT_EQ(json_lines(lines.out).size(), 1U) << lines.err;
  EXPECT_EQ(json_lines(lines.out)[0].at("version"), 2);
  const Finished unknown = run(user, {"history", "AAAAAAAAAAAAAAAAAAAA"});
  EXPECT_EQ(unknown.status, exited(1));
  EXPECT_THAT(unknown.err, HasSubstr("404"));
}

}  // namespace
}  // namespace contactd::test
