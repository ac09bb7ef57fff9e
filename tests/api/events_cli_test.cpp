#include <gmock/gmock.h>
#include <signal.h>

#include "tests/api/commands.hpp"

// `contactd events`, which reads the log itself.
namespace contactd::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::chrono::milliseconds line_wait_max{20'000};

class EventsCommand : public ApiTest {
 protected:
  // What the command prints, without those of other tests.
  std::vector<boost::json::value> events(std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.begin(),
                     {"events", "--json", "--organization", user.organization()});
    const Finished done = contactd_on_log(shared_server(), std::move(arguments));
    EXPECT_EQ(done.status, exited(0)) << done.err;
    return json_lines(done.out);
  }
  std::vector<std::string> types(const std::vector<boost::json::value>& events) {
    std::vector<std::string> types;
    types.reserve(events.size());
    for (const auto& event : events) types.push_back(text_at(event, "type"));
    return types;
  }
};

TEST_F(EventsCommand, PrintsWhatHappenedBesideARunningServer) {
  const Contact contact = user.given_contact(R"({"first_name": "Jane"})");
  user.given_patched(contact.id, R"({"company": "Acme"})");
  user.remove(contact.id).then(200);

  const auto all = events();
  EXPECT_THAT(types(all),
              ElementsAre("contactd.api_key.created.v3", "contactd.contact.created.v1",
                          "contactd.contact.updated.v1", "contactd.contact.deleted.v1"));
  const auto& updated = all.at(2);
  EXPECT_EQ(text_at(updated, "subject"), contact.id);
  EXPECT_EQ(text_at(updated, "specversion"), "1.0");
  EXPECT_EQ(updated.at("contactversion"), 2);
  EXPECT_EQ(updated.at_pointer("/data/changes/company/new"), "Acme");
}

TEST_F(EventsCommand, FiltersByTypeAndContact) {
  const Contact one = user.given_contact();
  const Contact two = user.given_contact();
  user.given_patched(two.id, R"({"company": "Acme"})");

  EXPECT_THAT(types(events({"--contact", two.id})),
              ElementsAre("contactd.contact.created.v1", "contactd.contact.updated.v1"));
  EXPECT_THAT(types(events({"--contact", two.id, "--type", "contact.updated"})),
              ElementsAre("contactd.contact.updated.v1"));
  EXPECT_THAT(events({"--type", "contactd.contact.deleted.v1"}), IsEmpty());
}

TEST_F(EventsCommand, BeginsAndEndsAtAPositionOrATime) {
  const Contact contact = user.given_contact();
  for (int i = 0; i < 5; ++i) {
    user.given_patched(contact.id, R"({"company": ")" + std::to_string(i) + R"("})");
  }
  const auto all = events();
  ASSERT_EQ(all.size(), 7U);
  for (const std::size_t first : {0U, 1U, 4U, 6U}) {
    for (const std::size_t last : {first, std::size_t{6}}) {
      const auto some = events(
          {"--from", text_at(all[first], "position"), "--until", text_at(all[last], "position")});
      EXPECT_EQ(some, std::vector(all.begin() + static_cast<std::ptrdiff_t>(first),
                                  all.begin() + static_cast<std::ptrdiff_t>(last) + 1));
    }
  }
  for (const auto& event : events({"--from", text_at(all[3], "time")})) {
    EXPECT_GE(text_at(event, "time"), text_at(all[3], "time"));
  }
  EXPECT_EQ(events({"--from", text_at(all[0], "time"), "--until", text_at(all[6], "time")}), all);
  EXPECT_THAT(events({"--until", "2001-01-01T00:00:00Z"}), IsEmpty());
  EXPECT_THAT(events({"--from", "2199-01-01T00:00:00Z"}), IsEmpty());
}

TEST_F(EventsCommand, FollowsWhatIsWrittenNext) {
  std::vector<std::string> arguments{contactd_binary(), "events",         "--follow",
                                     "--json",          "--organization", user.organization(),
                                     "--type",          "contact.updated"};
  const auto flags = shared_server().reading_flags();
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  const TemporaryDirectory directory;
  ChildProcess following{{arguments, {}, directory.path() / "stderr", {}}};
  const Contact contact = user.given_contact();
  for (int i = 0; i < 20; ++i) {
    user.given_patched(contact.id, R"({"company": ")" + std::to_string(i) + R"("})");
    const auto line = following.read_line(line_wait_max);
    ASSERT_TRUE(line) << read_whole_file(directory.path() / "stderr");
    const auto event = boost::json::parse(*line);
    EXPECT_EQ(event.at("contactversion"), i + 2);
    EXPECT_EQ(text_at(event, "subject"), contact.id);
  }
  following.send_signal(SIGTERM);
  EXPECT_EQ(following.wait(line_wait_max), exited(128 + SIGTERM));
  EXPECT_THAT(read_whole_file(directory.path() / "stderr"), HasSubstr("ended by SIGTERM"));
}

TEST_F(EventsCommand, TellsPeopleInALineEach) {
  const Contact contact = user.given_contact(R"({"first_name": "Jane"})");
  const Finished done = contactd_on_log(shared_server(), {"events", "--contact", contact.id});
  EXPECT_EQ(done.status, exited(0)) << done.err;
  EXPECT_THAT(done.out, HasSubstr("  contact.created  " + user.organization() + "  " + contact.id +
                                  " v1  by "));
}

TEST(EventsOfAStoppedServer, AreTheSame) {
  ServerProcess server;
  ApiUser user = given_user(server);
  user.given_contact(R"({"first_name": "Jane"})");
  const Finished running = contactd_on_log(server, {"events", "--json"});
  EXPECT_EQ(running.status, exited(0)) << running.err;
  EXPECT_EQ(server.stop(), exited(0));
  const Finished stopped = contactd_on_log(server, {"events", "--json"});
  EXPECT_EQ(stopped.status, exited(0)) << stopped.err;
  EXPECT_EQ(stopped.out, running.out);
}

TEST(EventsUsage, WhatCantBeIsASentence) {
  const TemporaryDirectory nothing;
  const Finished no_log = contactd({"events", "--data-dir", nothing.path().string()});
  EXPECT_EQ(no_log.status, exited(1));
  EXPECT_THAT(no_log.err, HasSubstr("there is no embedded log in"));
  for (const auto& [flag, value, sentence] :
       {std::tuple{"--from", "soon", "'soon' is no place in the log"},
        std::tuple{"--until", "1:", "is no place"},
        std::tuple{"--contact", "nope", "'nope' is no contact id"},
        std::tuple{"--organization", "no spaces", "'no spaces' is no organization"},
        std::tuple{"--type", "contact.exploded", "there are contact.created, contact.updated"}}) {
    const Finished wrong = contactd({"events", flag, value});
    EXPECT_EQ(wrong.status, exited(2)) << value;
    EXPECT_THAT(wrong.err, HasSubstr(sentence));
  }
  const Finished elsewhere = contactd_on_log(shared_server(), {"events", "--from", "77:0"});
  EXPECT_EQ(elsewhere.status, exited(2));
  EXPECT_THAT(elsewhere.err, HasSubstr("no partition 77"));
}

}  // namespace
}  // namespace contactd::test
