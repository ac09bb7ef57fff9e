#include <boost/json.hpp>
#include <csignal>
#include <sstream>
#include <vector>

#include "tests/api/large_patch.hpp"
#include "tests/support/api_fixture.hpp"
#include "tests/support/event_stream.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/starting_server.hpp"
#include "tests/support/suites.hpp"

// GET /events as Server-Sent Events.
namespace contactd::test {
namespace {

namespace json = boost::json;

constexpr std::chrono::milliseconds patience{30'000};

class EventsStream : public ApiTest {
 protected:
  static StreamEvent next(EventStream& stream) {
    auto event = stream.next();
    if (!event) throw std::runtime_error{"the stream has ended"};
    return *std::move(event);
  }
  // The subjects of the next `count` events.
  static std::vector<std::string> subjects(EventStream& stream, int count) {
    std::vector<std::string> all;
    all.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
      all.push_back(json::value_to<std::string>(json::parse(next(stream).data).at("subject")));
    }
    return all;
  }
  static void expect_documented_head(const EventStream& stream) {
    expect_documented({"GET", "/api/v1/events", {}, {}, stream.head()});
  }
  static double metric(const ServerProcess& server, const std::string& name) {
    ApiUser anybody{server.port(), ""};
    return test::metric(anybody, name);
  }
  // The id of the user's only key.
  static std::string key_id(const ServerProcess& server, const ApiUser& of) {
    const Answer keys =
        admin_of(server).send("GET", "/admin/v1/keys?organization=" + of.organization());
    return json::value_to<std::string>(keys.json().at("data").at(0).at("id"));
  }
};

TEST_F(EventsStream, TellsWhatWasAndWhatComesAsPagesDo) {
  const Contact ann = user.given_contact();
  EventStream stream{shared_server().port(), user.key()};
  ASSERT_EQ(stream.head().status, 200U);
  expect_documented_head(stream);
  EXPECT_EQ(stream.head().header("Content-Type"), "text/event-stream");
  EXPECT_EQ(stream.head().header("Transfer-Encoding"), "chunked");
  EXPECT_EQ(stream.head().header("X-Accel-Buffering"), "no");
  EXPECT_FALSE(stream.head().header("Content-Length"));
  std::vector<StreamEvent> events = {next(stream)};
  user.given_patched(ann.id, R"({"first_name": "A\nB"})");
  events.push_back(next(stream));
  user.remove(ann.id).then(200);
  events.push_back(next(stream));
  const json::value page = user.send("GET", "/api/v1/events").then(200).json();
  ASSERT_EQ(page.at("data").as_array().size(), events.size());
  for (std::size_t i = 0; i < events.size(); ++i) {
    const json::value& expected = page.at("data").at(i);
    EXPECT_EQ(json::parse(events[i].data), expected);
    EXPECT_EQ(text(events[i].id), expected.at("cursor"));
    EXPECT_EQ(text(events[i].type), expected.at("type"));
  }
}

// By the stream, and by a page for each event.
TEST_F(EventsStream, NaughtyStringsAreToldToTheByte) {
  const auto suite = find_suite("naughty_strings/strings.json");
  CONTACTD_NEEDS_SUITE(suite);
  EventStream stream{shared_server().port(), user.key()};
  const Contact ann = user.given_contact();
  std::string cursor = next(stream).id;
  json::value before;
  std::size_t told = 0;
  const json::value strings = json::parse(read_whole_file(suite));
  for (const json::value& string : strings.as_array()) {
    const json::object body{{"company", string}, {"tags", json::array{string}}};
    const Answer patched = user.patch(ann.id, json::serialize(body));
    if (patched.status() != 200 || string == before) continue;
    ++told;
    const StreamEvent event = next(stream);
    const json::value data = json::parse(event.data);
    const json::value& changes = data.at("data").at("changes");
    EXPECT_EQ(changes.at("company").at("new"), string);
    EXPECT_EQ(changes.at("tags").at("new"), json::array{string});
    EXPECT_EQ(changes.at("company").at("old"), before);
    const Answer page = user.send("GET", "/api/v1/events?after=" + cursor).then(200);
    EXPECT_EQ(page.json().at("data"), json::array{data});
    cursor = event.id;
    before = string;
  }
  EXPECT_GT(told, 100U);
}

TEST_F(EventsStream, GoesOnAfterTheLastEventId) {
  std::vector<std::string> ids(4);
  for (std::string& id : ids) id = user.given_contact().id;
  std::string seen;
  {
    EventStream stream{shared_server().port(), user.key()};
    EXPECT_EQ(subjects(stream, 2), (std::vector<std::string>{ids[0], ids[1]}));
    seen = stream.last_id();
  }
  // The header goes before the query: a browser repeats the address that it was given.
  EventStream again{shared_server().port(), user.key(), "after=latest", seen};
  EXPECT_EQ(subjects(again, 2), (std::vector<std::string>{ids[2], ids[3]}));
  EventStream by_query{shared_server().port(), user.key(), "after=" + seen};
  EXPECT_EQ(subjects(by_query, 2), (std::vector<std::string>{ids[2], ids[3]}));
}

TEST_F(EventsStream, FromNowOnMeansFromTheFirstIdOn) {
  user.given_contact();
  std::string place;
  {
    EventStream stream{shared_server().port(), user.key(), "after=latest"};
    const Contact ann = user.given_contact();
    EXPECT_EQ(subjects(stream, 1), (std::vector<std::string>{ann.id}));
  }
  {
    // A client that is cut off before the first event has a place to go on from.
    ServerProcess server{{{"--feed-heartbeat-ms", "50"}, {}}};
    ApiUser other = given_user(server);
    other.given_contact();
    EventStream stream{server.port(), other.key(), "after=latest"};
    stream.wait_for_comment();
    place = stream.last_id();
    const Contact bob = other.given_contact();
    EventStream again{server.port(), other.key(), {}, place};
    EXPECT_EQ(subjects(again, 1), (std::vector<std::string>{bob.id}));
  }
}

TEST_F(EventsStream, IsFilteredAndItsPlaceMovesOnAllTheSame) {
  ServerProcess server{{{"--feed-heartbeat-ms", "50"}, {}}};
  ApiUser other = given_user(server);
  EventStream stream{server.port(), other.key(), "type=contactd.contact.deleted.v1"};
  const Contact ann = other.given_contact();
  const Contact bob = other.given_contact();
  const auto end = json::value_to<std::string>(
      other.send("GET", "/api/v1/events?after=latest").json().at("next_cursor"));
  while (stream.last_id() != end) stream.wait_for_comment();
  other.remove(bob.id).then(200);
  const StreamEvent deleted = next(stream);
  EXPECT_EQ(deleted.type, "contactd.contact.deleted.v1");
}

TEST_F(EventsStream, RefusesWhatPagesRefuse) {
  const auto status = [&](const std::string& query, const std::string& last_id = {}) {
    return EventStream{shared_server().port(), user.key(), query, last_id}.head().status;
  };
  EXPECT_EQ(status("after=x"), 400U);
  EXPECT_EQ(status("type=x"), 400U);
  EXPECT_EQ(status({}, "x"), 400U);
  ApiUser stranger = given_user(shared_server());
  stranger.given_contact();
  const json::value page = stranger.send("GET", "/api/v1/events").json();
  EXPECT_EQ(status({}, json::value_to<std::string>(page.at("next_cursor"))), 410U);
  EXPECT_EQ(EventStream(shared_server().port(), "nobody").head().status, 401U);
}

TEST_F(EventsStream, AnswersAHeadWithoutAStream) {
  const Answer answer = user.send("HEAD", "/api/v1/events", {{"Accept", "text/event-stream"}});
  answer.then(200).with_header("Content-Type", "text/event-stream");
  const auto takes = [&](const std::string& accept) {
    return user.send("HEAD", "/api/v1/events", {{"Accept", accept}}).response().media_type();
  };
  for (const char* accept :
       {"application/json;q=0.5, Text/Event-Stream ; Q=0.5", "*/*, text/event-stream;q=0.1",
        "application/json;q=0.25,text/event-stream;charset=utf-8;q=0.251",
        "application/json, text/event-stream", "application/json, text/event-stream;q=high"}) {
    EXPECT_EQ(takes(accept), "text/event-stream") << accept;
  }
  for (const char* accept :
       {"*/*", "text/*", "", "text/event-stream;q=0", "text/event-stream; q=0.000",
        "text/event-stream;q=0.999, application/json",
        "application/json, text/event-stream;q=0.5"}) {
    EXPECT_EQ(takes(accept), "application/json") << accept;
  }
}

TEST_F(EventsStream, EndsWithinASecondOfItsKeysRevocation) {
  const std::string id = key_id(shared_server(), user);
  ApiUser colleague = given_user(shared_server(), "write", user.organization());
  EventStream stream{shared_server().port(), user.key()};
  EventStream other{shared_server().port(), colleague.key()};
  RawConnection poll{shared_server().port()};
  poll.send(request_text("GET", "/api/v1/events?wait=30&after=latest", {{"X-API-KEY", user.key()}},
                         std::nullopt));
  user.given_contact();
  next(stream);
  next(other);
  ResponseReader{poll}.read();
  poll.send(request_text("GET", "/api/v1/events?wait=30&after=latest", {{"X-API-KEY", user.key()}},
                         std::nullopt));
  admin_of(shared_server()).send("DELETE", "/admin/v1/keys/" + id).then(200);
  EXPECT_FALSE(stream.next());
  EXPECT_TRUE(stream.ended_cleanly());
  EXPECT_EQ(ResponseReader{poll}.read().status, 401U);
  colleague.given_contact();
  next(other);  // goes on
}

TEST_F(EventsStream, EndsCleanlyWhenTheServerStopsAndPollsAreAnswered) {
  ServerProcess server;
  ApiUser other = given_user(server);
  EventStream stream{server.port(), other.key()};
  RawConnection poll{server.port()};
  poll.send(
      request_text("GET", "/api/v1/events?wait=30", {{"X-API-KEY", other.key()}}, std::nullopt));
  ASSERT_TRUE(eventually([&] { return metric(server, "contactd_feed_followers") == 2; }, patience));
  server.send_signal(SIGTERM);
  EXPECT_FALSE(stream.next());
  EXPECT_TRUE(stream.ended_cleanly());
  const Response answer = ResponseReader{poll}.read();
  EXPECT_EQ(answer.status, 200U);
  EXPECT_TRUE(answer.json().at("data").as_array().empty());
  EXPECT_EQ(server.wait(), exited(0)) << server.log();
}

// A client of Server-Sent Events gives up on any answer but 200, so it is told to come again.
TEST_F(EventsStream, OfAServerThatIsntReadyYetEndsAndSaysWhenToComeAgain) {
  StartingServer server{flags_of_no_broker()};
  const Headers headers = {
      {"X-API-KEY", user.key()}, {"Accept", "text/event-stream"}, {"Last-Event-ID", "x"}};
  const Response stream = server.get("/api/v1/events", headers);
  EXPECT_EQ(stream.status, 200U);
  expect_documented({"GET", "/api/v1/events", {}, {}, stream});
  EXPECT_EQ(stream.header("Content-Type"), "text/event-stream");
  const std::string field = "\nretry: ";
  const std::size_t retry = stream.body.find(field);
  ASSERT_TRUE(stream.body.starts_with(": ") && retry != std::string::npos) << stream.body;
  EXPECT_EQ(std::stoi(stream.body.substr(retry + field.size())) / 1'000, 1) << stream.body;
  EXPECT_TRUE(stream.body.ends_with("\n\n"));
  EXPECT_EQ(stream.body.find("id:"), std::string::npos) << "the id that the client has must stay";
  // All else is refused.
  EXPECT_EQ(server.get("/api/v1/contacts", headers).status, 503U);
  const Response page = server.get("/api/v1/events?wait=30", {{"X-API-KEY", user.key()}});
  EXPECT_EQ(page.status, 503U);
  EXPECT_TRUE(page.header("Retry-After"));
  EXPECT_EQ(server.stop(), exited(0)) << server.log();
}

TEST_F(EventsStream, TakeNoPlaceOnceTheClientOfALongPollHasGone) {
  constexpr std::chrono::seconds before_its_end{20};
  const ServerProcess server;
  const ApiUser other = given_user(server);
  for (const bool reset : {false, true}) {
    {
      RawConnection poll{server.port()};
      poll.send(request_text("GET", "/api/v1/events?wait=30", {{"X-API-KEY", other.key()}},
                             std::nullopt));
      ASSERT_TRUE(
          eventually([&] { return metric(server, "contactd_feed_followers") == 1; }, patience));
      if (reset) poll.reset();
    }
    EXPECT_TRUE(
        eventually([&] { return metric(server, "contactd_feed_followers") == 0; }, before_its_end));
  }
}

TEST_F(EventsStream, ArentMoreThanAKeyAndTheServerMayHave) {
  ServerProcess server{{{"--feed-max-per-key", "2", "--feed-max", "3"}, {}}};
  ApiUser one = given_user(server);
  ApiUser other = given_user(server);
  std::vector<std::unique_ptr<EventStream>> streams;
  const auto open = [&](const ApiUser& of) {
    streams.push_back(std::make_unique<EventStream>(server.port(), of.key()));
    const Response& head = streams.back()->head();
    if (head.status != 200) {
      EXPECT_TRUE(head.header("Retry-After"));
    }
    return head.status;
  };
  EXPECT_EQ(open(one), 200U);
  EXPECT_EQ(open(one), 200U);
  EXPECT_EQ(open(one), 429U);
  one.send("GET", "/api/v1/events?wait=1").then(429);
  one.send("GET", "/api/v1/events").then(200);
  EXPECT_EQ(open(other), 200U);
  EXPECT_EQ(open(other), 503U);
  streams.clear();
  // That they have gone is seen at once, not when they are next written to.
  EXPECT_TRUE(eventually([&] { return metric(server, "contactd_feed_followers") == 0; }, patience));
  EXPECT_EQ(open(one), 200U);
}

// What a stream sends at once is what a client that doesn't read costs. From the store, which a
// stream that is behind reads, and as they come.
TEST_F(EventsStream, TellsLargeEventsOneByOne) {
  const Contact ann = user.given_contact();
  const auto given_changes = [&] {
    for (std::size_t i = 0; i < 10; ++i) {
      user.given_patched(ann.id, large_patch(large_characters[i % 2]));
    }
  };
  given_changes();
  EventStream stream{shared_server().port(), user.key()};
  given_changes();
  std::size_t event_bytes_max = 0;
  for (int version = 1; version <= 21; ++version) {
    const StreamEvent event = next(stream);
    EXPECT_EQ(json::parse(event.data).at("contactversion"), version);
    event_bytes_max = std::max(event_bytes_max, event.data.size());
  }
  EXPECT_LT(stream.chunk_bytes_max(), 2 * event_bytes_max);
}

TEST_F(EventsStream, OfAClientThatDoesntReadIsCutOffAndGoesOnWithoutGapOrRepeat) {
  ServerProcess server{{{"--feed-stall-ms", "200"}, {}}};
  ApiUser other = given_user(server);
  EventStream stalled{server.port(), other.key()};
  std::vector<std::string> created;
  const std::string note(1'000, 'x');
  const std::string body = R"({"first_name":")" + note + R"(","last_name":")" + note +
                           R"(","company":")" + note + R"(","location":")" + note + "\"}";
  const auto cut = [&] { return metric(server, "contactd_feed_stalled_total") == 1; };
  while (!cut()) {
    for (int i = 0; i < 100; ++i) created.push_back(other.given_contact(body).id);
    ASSERT_LT(created.size(), 20'000U) << "the client that doesn't read was never cut off";
  }
  std::vector<std::string> seen;
  try {
    while (const auto event = stalled.next()) {
      seen.push_back(json::value_to<std::string>(json::parse(event->data).at("subject")));
    }
  } catch (const std::exception& reset) {
    // It was cut off, perhaps in the middle of an event.
  }
  EXPECT_FALSE(stalled.ended_cleanly());
  ASSERT_LT(seen.size(), created.size());
  EventStream again{server.port(), other.key(), {}, stalled.last_id()};
  const auto rest = subjects(again, static_cast<int>(created.size() - seen.size()));
  seen.insert(seen.end(), rest.begin(), rest.end());
  EXPECT_EQ(seen, created);
}

// The commands of the section on events, as they stand in the README.
TEST_F(EventsStream, AreReadByTheReadmesCommands) {
  constexpr int curl_timed_out = 28;
  const std::string readme = read_whole_file(CONTACTD_GOLDEN "/../../README.md");
  const std::size_t begin = readme.find("## Follow the events");
  ASSERT_NE(begin, std::string::npos);
  std::istringstream lines{readme.substr(begin, readme.find("\n## ", begin + 1) - begin)};
  const Contact ann = user.given_contact();
  const auto cursor =
      json::value_to<std::string>(given_user(shared_server(), "read", user.organization())
                                      .send("GET", "/api/v1/events?limit=1")
                                      .json()
                                      .at("next_cursor"));
  const Contact bob = user.given_contact();
  int commands = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("curl ")) continue;
    ++commands;
    const bool stream = line.find("event-stream") != std::string::npos;
    const Finished done =
        run_program({"/usr/bin/env", "bash", "-c", "curl -sS --max-time 2 " + line.substr(5)},
                    {{"URL", shared_server().url()}, {"KEY", user.key()}, {"CURSOR", cursor}});
    EXPECT_EQ(done.status, exited(stream ? curl_timed_out : 0)) << line << '\n' << done.err;
    EXPECT_NE(done.out.find(bob.id), std::string::npos) << line << '\n' << done.out;
  }
  EXPECT_EQ(commands, 3);
}

}  // namespace
}  // namespace contactd::test
