#include <boost/json.hpp>
#include <csignal>
#include <filesystem>
#include <map>
#include <thread>
#include <vector>

#include "tests/api/large_patch.hpp"
#include "tests/domain/samples.hpp"
#include "tests/support/api_fixture.hpp"
#include "tests/support/event_stream.hpp"
#include "tests/support/eventually.hpp"

// GET /events as JSON: pages, cursors, filters, long poll.
namespace contactd::test {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr auto events_path = "/api/v1/events";

Answer events(ApiUser& of, const std::string& query = {}, const Headers& headers = {}) {
  return of.send("GET", events_path + (query.empty() ? "" : '?' + query), headers);
}

std::string string_at(const json::value& object, std::string_view name) {
  return json::value_to<std::string>(object.at(name));
}

std::string next_cursor(const Answer& page) { return string_at(page.json(), "next_cursor"); }

json::array items(const Answer& page) { return page.json().at("data").as_array(); }

// `created 1`, `updated 2`, ... of each event.
std::vector<std::string> told(const json::array& events) {
  std::vector<std::string> all;
  for (const json::value& event : events) {
    const std::string type = string_at(event, "type");
    all.push_back(type.substr(17, type.size() - 20) + ' ' +
                  json::serialize(event.at("contactversion")));
  }
  return all;
}

// All from `after` on, page by page of `limit`.
json::array walk(ApiUser& of, std::size_t limit, const std::string& filters = {}) {
  json::array all;
  std::string cursor;
  for (;;) {
    const Answer page = events(of, "limit=" + std::to_string(limit) + "&after=" + cursor + filters);
    page.then(200);
    for (const json::value& event : items(page)) all.push_back(event);
    cursor = next_cursor(page);
    if (page.json().at("has_more") == false) return all;
  }
}

class Events : public ApiTest {
 protected:
  // Created, changed twice, deleted.
  std::string given_life() {
    const Contact ann = user.given_contact(R"({"first_name": "Ann"})");
    user.given_patched(ann.id, R"({"company": "1"})");
    user.given_patched(ann.id, R"({"company": "2"})");
    user.remove(ann.id).then(200);
    return ann.id;
  }
};

TEST_F(Events, AreCloudEventsInTheOrderInWhichTheyHappened) {
  const Answer created =
      user.create(R"({"first_name": "Ann", "tags": ["vip"]})", {{"X-Request-Id", "first"}});
  const std::string id = string_at(created.data(), "id");
  user.patch(id, R"({"company": "A\"cme"})", {{"X-Request-Id", "second"}}).then(200);
  user.patch(id, R"({"company": "A\"cme"})").then(200);  // changes nothing, so is no event
  user.remove(id, {{"X-Request-Id", "third"}}).then(200);

  const Answer answer = events(user).then(200).with_member("has_more", false);
  answer.with_header("Cache-Control", "no-store");
  const json::array all = items(answer);
  ASSERT_EQ(told(all), (std::vector<std::string>{"created 1", "updated 2", "deleted 3"}));
  const json::value data[] = {
      {{"contact_id", id},
       {"version", 1},
       {"changes", json::parse(R"({"first_name": {"old": null, "new": "Ann"},
                                   "status": {"old": null, "new": "active"},
                                   "tags": {"old": [], "new": ["vip"]}})")}},
      {{"contact_id", id},
       {"version", 2},
       {"changes", json::parse(R"({"company": {"old": null, "new": "A\"cme"}})")}},
      {{"contact_id", id}, {"version", 3}}};
  const std::string requests[] = {"first", "second", "third"};
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].at("data"), data[i]);
    EXPECT_EQ(all[i].at("subject"), text(id));
    EXPECT_EQ(all[i].at("organization"), text(user.organization()));
    EXPECT_EQ(string_at(all[i], "requestid"), requests[i]);
  }
  EXPECT_EQ(string_at(all[0], "time"), string_at(created.data(), "created_at"));
  EXPECT_EQ(string_at(all[2], "cursor"), next_cursor(answer));
}

TEST_F(Events, ArePagedByCursorsThatHoldWhileMoreHappens) {
  given_life();
  const Answer first = events(user, "limit=3").then(200).with_member("has_more", true);
  given_life();
  const Answer second = events(user, "limit=3&after=" + next_cursor(first)).then(200);
  EXPECT_EQ(told(items(second)), (std::vector<std::string>{"deleted 4", "created 1", "updated 2"}));
  // Each event's own cursor is as good.
  const Answer same = events(user, "limit=3&after=" + string_at(items(first)[2], "cursor"));
  EXPECT_EQ(same.body(), second.body());
  EXPECT_EQ(walk(user, 1), walk(user, 200));
  EXPECT_EQ(walk(user, 3).size(), 8U);
}

TEST_F(Events, AtTheEndTheCursorIsOneToGoOnFrom) {
  const std::string beginning = next_cursor(events(user).then(200).with_member("has_more", false));
  EXPECT_EQ(next_cursor(events(user, "after=latest")), beginning);
  given_life();
  EXPECT_EQ(items(events(user, "after=" + beginning)).size(), 4U);
  const std::string end = next_cursor(events(user, "after=latest").then(200));
  EXPECT_EQ(end, next_cursor(events(user)));
  const Answer nothing = events(user, "after=" + end).then(200);
  EXPECT_TRUE(items(nothing).empty());
  EXPECT_EQ(next_cursor(nothing), end);
}

TEST_F(Events, AreFilteredByTypeAndContact) {
  const std::string first = given_life();
  const std::string second = given_life();
  const std::string type = "&type=contactd.contact.";
  EXPECT_EQ(told(walk(user, 2, type + "deleted.v1")),
            (std::vector<std::string>{"deleted 4", "deleted 4"}));
  EXPECT_EQ(walk(user, 2, type + "created.v1,contactd.contact.updated.v1").size(), 6U);
  const json::array of_second = walk(user, 2, "&contact=" + second);
  EXPECT_EQ(of_second.size(), 4U);
  for (const json::value& event : of_second) EXPECT_EQ(event.at("subject"), text(second));
  EXPECT_EQ(walk(user, 2, type + "updated.v1&contact=" + first).size(), 2U);
  EXPECT_EQ(walk(user, 2, "&contact=nobody00000000000000").size(), 0U);
}

// A filter that lets nothing through costs a bounded read all the same: the cursor moves on.
TEST_F(Events, APageThatAFilterEmptiesGoesOn) {
  const Contact ann = user.given_contact();
  const int clients = 10;
  const int updates_each = 210;
  const int updates = clients * updates_each;
  {
    std::vector<std::jthread> patching;
    patching.reserve(clients);
    for (int client = 0; client < clients; ++client) {
      patching.emplace_back([&, client] {
        std::string pipelined;
        for (int i = 0; i < updates_each; ++i) {
          const std::string company = std::to_string(client * updates_each + i);
          pipelined +=
              request_text("PATCH", contact_path(ann.id),
                           {{"X-API-KEY", user.key()}, {"Content-Type", "application/json"}},
                           R"({"company": ")" + company + "\"}");
        }
        RawConnection connection{shared_server().port()};
        std::jthread sender{[&] { connection.send(pipelined); }};
        ResponseReader reader{connection};
        for (int i = 0; i < updates_each; ++i) EXPECT_EQ(reader.read().status, 200U);
      });
    }
  }
  user.remove(ann.id).then(200);
  const std::string query = "type=contactd.contact.deleted.v1&after=";
  const Answer empty = events(user, query).then(200).with_member("has_more", true);
  EXPECT_TRUE(items(empty).empty());
  EXPECT_EQ(told(items(events(user, query + next_cursor(empty)).then(200))),
            (std::vector<std::string>{"deleted " + std::to_string(updates + 2)}));
}

TEST_F(Events, APageOfLargeOnesHasFewerAndNoneIsLeftOut) {
  constexpr std::size_t page_bytes_max = (1U << 20U) + 16'384;  // with what isn't changes
  const Contact ann = user.given_contact();
  std::vector<std::string> expected{"created 1"};
  for (std::size_t version = 2; version <= 20; ++version) {
    user.given_patched(ann.id, large_patch(large_characters[version % 2]));
    expected.push_back("updated " + std::to_string(version));
  }
  for (const std::string query : {"limit=200", "limit=200&wait=30",
                                  "limit=200&type="
                                  "contactd.contact.created.v1,contactd.contact.updated.v1"}) {
    const Answer page = events(user, query).then(200).with_member("has_more", true);
    EXPECT_LE(page.body().size(), page_bytes_max);
    EXPECT_GT(items(page).size(), 1U);
  }
  EXPECT_EQ(told(walk(user, 200)), expected);
}

TEST_F(Events, ALongPollIsAnsweredWhenSomethingHappens) {
  given_life();
  const std::string end = next_cursor(events(user, "after=latest"));
  RawConnection connection{shared_server().port()};
  const std::string poll = "/api/v1/events?wait=30&after=" + end;
  connection.send(request_text("GET", poll, {{"X-API-KEY", user.key()}}, std::nullopt));
  // Another answer on another connection: the poll has certainly been read by then, and it waits.
  given_user(shared_server()).given_contact();
  const Contact ann = user.given_contact();
  const Response answer = ResponseReader{connection}.read();
  expect_documented({"GET", poll, {}, {}, answer});
  ASSERT_EQ(answer.json().at("data").as_array().size(), 1U);
  EXPECT_EQ(answer.json().at("data").at(0).at("subject"), text(ann.id));
  // The connection goes on.
  connection.send(request_text("GET", events_path, {{"X-API-KEY", user.key()}}, std::nullopt));
  EXPECT_EQ(ResponseReader{connection}.read().json().at("data").as_array().size(), 5U);
}

TEST_F(Events, ALongPollInVainEndsEmpty) {
  const std::string end = next_cursor(events(user, "after=latest"));
  const Answer answer = events(user, "wait=1&after=" + end).then(200);
  EXPECT_TRUE(items(answer).empty());
  EXPECT_EQ(next_cursor(answer), end);
}

TEST_F(Events, ALongPollIsAnsweredAtOnceIfTheClientHasClosedItsWayOut) {
  const std::string end = next_cursor(events(user, "after=latest"));
  RawConnection connection{shared_server().port()};
  connection.send(request_text("GET", "/api/v1/events?wait=30&after=" + end,
                               {{"X-API-KEY", user.key()}}, std::nullopt));
  connection.finish_sending();
  const Response answer = ResponseReader{connection}.read();
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.json().at("next_cursor"), text(end));
}

TEST_F(Events, AreOfTheKeysOrganizationAlone) {
  given_life();
  ApiUser stranger = given_user(shared_server(), "read");
  EXPECT_TRUE(items(events(stranger).then(200)).empty());
}

TEST_F(Events, AForeignCursorIsGoneAndSaysHowToResync) {
  given_life();
  const std::string cursor = next_cursor(events(user));
  ApiUser stranger = given_user(shared_server());
  const std::string nothing_yet = next_cursor(events(stranger));
  stranger.given_contact();
  for (const std::string& foreign : {cursor, next_cursor(events(user, "limit=1"))}) {
    events(stranger, "after=" + foreign)
        .then(410)
        .with_member("resync", "/api/v1/contacts?cursor=")
        .with_header("Link", R"(</api/v1/contacts?cursor=>; rel="alternate"; title="resync")");
  }
  events(user, "after=" + nothing_yet).then(410);
  stranger.send("HEAD", "/api/v1/events?after=" + cursor).then(410);
  events(stranger, "after=" + cursor, {{"Accept", "application/problem+json"}})
      .then(410)
      .with_member("status", 410);
}

TEST_F(Events, WhatIsWrongWithAQueryIsNamed) {
  const std::string cursor = next_cursor(events(user));
  std::string typo = cursor;
  typo[20] = typo[20] == '0' ? '1' : '0';
  const std::pair<std::string, std::string> rows[] = {
      {"after=x", "'after'"},
      {"after=" + typo, "'after'"},
      {"after=" + cursor + "0", "'after'"},
      {"limit=0", "'limit'"},
      {"limit=201", "'limit'"},
      {"limit=x", "'limit'"},
      {"wait=31", "'wait'"},
      {"wait=-1", "'wait'"},
      {"type=", "'type'"},
      {"type=contactd.contact.created.v1,", "'type'"},
      {"type=contactd.api_key.created.v1", "'type'"},
      {"contact=ann", "'contact'"},
      {"cursor=" + cursor, "'cursor'"},
      {"limit=1&limit=1", "'limit'"},
  };
  for (const auto& [query, name] : rows) {
    SCOPED_TRACE(query);
    events(user, query).then(400).with_error_naming(name);
  }
  user.send("HEAD", "/api/v1/events?limit=0").then(400);
  user.send("POST", events_path, {}, "{}").then(405);
}

TEST_F(Events, AHeadDoesntWait) { user.send("HEAD", "/api/v1/events?wait=30").then(200); }

TEST(EventsOfAServer, CursorsHoldAcrossARestartAndARebuild) {
  ServerProcess server;
  ApiUser user = given_user(server);
  for (int i = 0; i < 5; ++i) user.given_contact();
  const std::string half = next_cursor(events(user, "limit=2"));
  const std::string before = events(user, "after=" + half).body();
  const std::string all = events(user).body();
  EXPECT_EQ(server.stop(), exited(0));
  server.start();
  user.move_to(server.port());
  EXPECT_EQ(events(user, "after=" + half).body(), before);
  server.kill();
  fs::remove_all(server.data_dir() / "projections");
  server.start();
  user.move_to(server.port());
  EXPECT_EQ(events(user, "after=" + half).body(), before);
  EXPECT_EQ(events(user).body(), all);
}

// What was told after the backup was made isn't there any more: the cursor must not be taken for a
// place in what happened instead.
TEST(EventsOfAServer, ACursorFromAfterABackupIsGoneOnceThatIsRestored) {
  ServerProcess server;
  ApiUser user = given_user(server);
  user.given_contact();
  const std::string kept = next_cursor(events(user));
  EXPECT_EQ(server.stop(), exited(0));
  const fs::path backup = server.data_dir().parent_path() / "backup";
  fs::copy(server.data_dir(), backup, fs::copy_options::recursive);
  server.start();
  user.move_to(server.port());
  user.given_contact();
  const std::string lost = next_cursor(events(user));
  EXPECT_EQ(server.stop(), exited(0));
  fs::remove_all(server.data_dir());
  fs::rename(backup, server.data_dir());
  server.start();
  user.move_to(server.port());
  events(user, "after=" + lost).then(410);
  for (int i = 0; i < 3; ++i) user.given_contact();
  events(user, "after=" + lost).then(410);
  EXPECT_EQ(items(events(user, "after=" + kept).then(200)).size(), 3U);
}

// The server that drains ends streams and answers who waits; a page that is being sent is sent
// whole.
TEST(EventsOfAServer, APageUnderWayIsSentWholeWhenTheServerStops) {
  ServerProcess server{{{"--io-threads", "1"}, {}}};
  ApiUser user = given_user(server);
  const Contact ann = user.given_contact();
  for (std::size_t i = 0; i < 10; ++i) {
    user.given_patched(ann.id, large_patch(large_characters[i % 2]));
  }
  // So many pages of a mebibyte that the buffers of both sides can't take them all.
  constexpr int pages = 30;
  RawConnection connection{server.port()};
  const std::string request =
      request_text("GET", events_path, {{"X-API-KEY", user.key()}}, std::nullopt);
  for (int i = 0; i < pages; ++i) connection.send(request);
  const auto answered = [&] {
    return metric(user,
                  R"(contactd_http_requests_total{method="GET",route="events",status="200"})");
  };
  double before = -1;
  const auto stands_still = [&] {
    const double now = answered();
    return now > 0 && std::exchange(before, now) == now;
  };
  ASSERT_TRUE(eventually(stands_still, RawConnection::answer_wait_max));
  ASSERT_LT(before, pages);
  EventStream last_to_hear{server.port(), user.key(), "after=latest"};
  server.send_signal(SIGTERM);
  EXPECT_FALSE(last_to_hear.next());
  ResponseReader reader{connection};
  Response page;
  do {
    page = reader.read();
    EXPECT_GT(page.json().at("data").as_array().size(), 1U);
  } while (page.keeps_connection);
  EXPECT_EQ(server.wait(), exited(0)) << server.log();
}

}  // namespace
}  // namespace contactd::test
