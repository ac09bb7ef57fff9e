#include <boost/json.hpp>
#include <vector>

#include "tests/api/large_patch.hpp"
#include "tests/support/api_fixture.hpp"
#include "tests/support/suites.hpp"

// GET /contacts/{contactId}/history.
namespace contactd::test {
namespace {

namespace json = boost::json;

class History : public ApiTest {
 protected:
  static std::string path(const std::string& id, const std::string& query = {}) {
    return contact_path(id) + "/history" + (query.empty() ? "" : '?' + query);
  }
  Answer history(const std::string& id, const std::string& query = {}) {
    return user.send("GET", path(id, query));
  }
  // The versions of the events on a page.
  static std::vector<int> versions(const Answer& page) {
    std::vector<int> all;
    const json::value body = page.json();
    for (const json::value& event : body.at("data").as_array()) {
      all.push_back(json::value_to<int>(event.at("version")));
    }
    return all;
  }
  // The id of the user's key, as its organization's list of keys has it.
  static std::string key_id(const ApiUser& of) {
    const Answer keys =
        admin_of(shared_server()).send("GET", "/admin/v1/keys?organization=" + of.organization());
    return json::value_to<std::string>(keys.json().at("data").at(0).at("id"));
  }
  // A contact in version `version`, whose company changes each time.
  Contact given_version(int version) {
    Contact ann = user.given_contact(R"({"company": "1"})");
    for (int i = 2; i <= version; ++i) {
      ann = user.given_patched(ann.id, R"({"company": ")" + std::to_string(i) + "\"}");
    }
    return ann;
  }
};

TEST_F(History, SaysOfEachEventWhatChangedWhenAndWhoDidIt) {
  const Answer created =
      user.create(R"({"first_name": "Jane", "tags": ["vip"]})", {{"X-Request-Id", "first"}});
  const std::string id = json::value_to<std::string>(created.data().at("id"));
  const Answer patched =
      user.patch(id, R"({"first_name": "Janet", "company": "Acme"})", {{"X-Request-Id", "second"}});
  user.patch(id, R"({"company": "Acme"})").then(200);  // changes nothing, so is no event
  user.remove(id, {{"X-Request-Id", "third"}}).then(200);

  const Answer answer = history(id).then(200).with_member("next_cursor", nullptr);
  answer.without_header("Link").without_header("ETag");
  const json::array events = answer.json().at("data").as_array();
  ASSERT_EQ(events.size(), 3U);
  const json::object actor = {{"id", key_id(user)}, {"name", "a test"}};
  const json::value changes[] = {json::object{},
                                 json::parse(R"({"first_name": {"old": "Jane", "new": "Janet"},
                      "company": {"old": null, "new": "Acme"}})"),
                                 json::parse(R"({"first_name": {"old": null, "new": "Jane"},
                      "status": {"old": null, "new": "active"},
                      "tags": {"old": [], "new": ["vip"]}})")};
  const std::string names[] = {"deleted", "updated", "created"};
  const std::string requests[] = {"third", "second", "first"};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(events[i].at("type"), text("contactd.contact." + names[i] + ".v1"));
    EXPECT_EQ(events[i].at("version"), 3 - i);
    EXPECT_EQ(events[i].at("actor"), actor);
    EXPECT_EQ(events[i].at("request_id"), text(requests[i]));
    EXPECT_EQ(events[i].at("changes"), changes[i]);
  }
  EXPECT_EQ(events[1].at("time"), patched.data().at("updated_at"));
  EXPECT_EQ(events[2].at("time"), created.data().at("created_at"));
  EXPECT_NE(events[0].at("id"), events[1].at("id"));
}

TEST_F(History, NamesTheKeyThatDidItAlsoOnceItIsRevoked) {
  ApiUser gone = given_user(shared_server(), "write", user.organization());
  const Contact ann = gone.given_contact();
  const json::value before = history(ann.id).json().at("data").at(0).at("actor");
  const std::string id = json::value_to<std::string>(before.at("id"));
  admin_of(shared_server()).send("DELETE", "/admin/v1/keys/" + id).then(200);
  gone.read(ann.id).then(401);

  EXPECT_EQ(history(ann.id).json().at("data").at(0).at("actor"), before);
  EXPECT_EQ(before.at("name"), text("a test"));
}

TEST_F(History, ComesInPages) {
  const Contact ann = given_version(5);

  const Answer first = history(ann.id, "limit=2").then(200);
  EXPECT_EQ(versions(first), (std::vector<int>{5, 4}));
  const std::string cursor = json::value_to<std::string>(first.json().at("next_cursor"));
  first.with_header("Link",
                    '<' + path(ann.id, "cursor=" + cursor + "&limit=2") + R"(>; rel="next")");
  // What happens meanwhile is before the first page, not on the next one.
  user.given_patched(ann.id, R"({"company": "6"})");
  const Answer second = history(ann.id, "limit=2&cursor=" + cursor).then(200);
  EXPECT_EQ(versions(second), (std::vector<int>{3, 2}));
  const Answer last =
      history(ann.id,
              "limit=2&cursor=" + json::value_to<std::string>(second.json().at("next_cursor")))
          .then(200);
  EXPECT_EQ(versions(last), std::vector<int>{1});
  last.with_member("next_cursor", nullptr).without_header("Link");
  EXPECT_EQ(versions(history(ann.id, "cursor=")), (std::vector<int>{6, 5, 4, 3, 2, 1}));
  EXPECT_EQ(versions(history(ann.id, "limit=6")), (std::vector<int>{6, 5, 4, 3, 2, 1}));
}

TEST_F(History, ItsCursorsAreThoseOfOneContact) {
  const Contact ann = given_version(3);
  const Contact bob = given_version(3);
  const Answer page = history(ann.id, "limit=1").then(200);
  const std::string cursor = json::value_to<std::string>(page.json().at("next_cursor"));
  history(ann.id, "cursor=" + cursor).then(200);
  history(bob.id, "cursor=" + cursor).then(400).with_error_naming("'cursor'");
}

TEST_F(History, CanBeAskedForCertainFields) {
  const Contact ann = user.given_contact(R"({"email": "ann@example.com"})");
  user.given_patched(ann.id, R"({"company": "Acme"})");
  user.given_patched(ann.id, R"({"tags": ["vip"], "company": "Acorn"})");
  user.given_patched(ann.id, R"({"first_name": "Ann"})");
  user.remove(ann.id).then(200);

  EXPECT_EQ(versions(history(ann.id, "field=company")), (std::vector<int>{3, 2}));
  EXPECT_EQ(versions(history(ann.id, "field=tags,email")), (std::vector<int>{3, 1}));
  EXPECT_EQ(versions(history(ann.id, "field=tags%2Cemail")), (std::vector<int>{3, 1}));
  EXPECT_EQ(versions(history(ann.id, "field=website")), std::vector<int>{});
  const Answer page = history(ann.id, "field=company&limit=1").then(200);
  EXPECT_EQ(versions(page), std::vector<int>{3});
  EXPECT_EQ(page.json().at("data").at(0).at("changes").as_object().size(), 2U);
  const std::string cursor = json::value_to<std::string>(page.json().at("next_cursor"));
  page.with_header("Link", '<' + path(ann.id, "cursor=" + cursor + "&field=company&limit=1") +
                               R"(>; rel="next")");
  const Answer rest = history(ann.id, "field=company&limit=1&cursor=" + cursor).then(200);
  EXPECT_EQ(versions(rest), std::vector<int>{2});
  rest.with_member("next_cursor", nullptr);
}

TEST_F(History, LongerThanAPageIsReadToItsEnd) {
  constexpr int length = 150;
  const Contact ann = given_version(length);
  std::vector<int> all;
  std::string cursor;
  do {
    const Answer page = history(ann.id, "limit=40&cursor=" + cursor).then(200);
    for (const int version : versions(page)) all.push_back(version);
    const json::value next = page.json().at("next_cursor");
    cursor = next.is_null() ? "" : json::value_to<std::string>(next);
  } while (!cursor.empty());
  ASSERT_EQ(all.size(), static_cast<std::size_t>(length));
  for (int i = 0; i < length; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)], length - i);
}

TEST_F(History, APageOfLargeEventsHasFewerAndNoneIsLeftOut) {
  constexpr std::size_t page_bytes_max = (1U << 20U) + 16'384;  // with what isn't changes
  constexpr int length = 20;
  const Contact ann = user.given_contact();
  for (std::size_t version = 2; version <= length; ++version) {
    user.given_patched(ann.id, large_patch(large_characters[version % 2]));
  }
  for (const std::string query : {"limit=200", "limit=200&field=company"}) {
    std::vector<int> all;
    std::string cursor;
    do {
      const Answer page = history(ann.id, query + "&cursor=" + cursor).then(200);
      EXPECT_LE(page.body().size(), page_bytes_max);
      for (const int version : versions(page)) all.push_back(version);
      const json::value next = page.json().at("next_cursor");
      cursor = next.is_null() ? "" : json::value_to<std::string>(next);
    } while (!cursor.empty());
    std::vector<int> expected;
    for (int version = length; version > 1; --version) expected.push_back(version);
    if (query == "limit=200") expected.push_back(1);
    EXPECT_EQ(all, expected);
  }
}

TEST_F(History, OfAContactThatNeverWasOrIsAnothersIsTheSame404) {
  ApiUser other = given_user(shared_server());
  const Contact theirs = other.given_contact();
  const Contact gone = other.given_contact();
  other.remove(gone.id).then(200);

  const Answer unknown = history("AbCdEfGhIjKlMnOpQrSt").then(404).with_error("Contact not found");
  for (const std::string& id : {theirs.id, gone.id, std::string{"x"}}) {
    EXPECT_EQ(history(id).then(404).body(), unknown.body());
  }
  other.send("GET", path(gone.id)).then(200);
}

TEST_F(History, NeedsNoMoreThanToRead) {
  const Contact ann = user.given_contact();
  ApiUser reader = given_user(shared_server(), "read", user.organization());
  reader.send("GET", path(ann.id)).then(200);
  reader.send("HEAD", path(ann.id)).then(200);
}

TEST_F(History, RefusesParametersThatAreWrongByName) {
  const Contact ann = user.given_contact();
  for (const std::string query : {"limit=0", "limit=201", "limit=x", "limit=", "limit=-1"}) {
    history(ann.id, query).then(400).with_error_naming("'limit'");
  }
  for (const std::string query :
       {"cursor=x", "cursor=030000000000000000", "cursor=010000000000000001",
        "cursor=03000000000000000g", "cursor=03000000000000001", "cursor=0300000000000000011"}) {
    history(ann.id, query).then(400).with_error_naming("'cursor'");
  }
  for (const std::string query : {"field=", "field=x", "field=email,", "field=created_at"}) {
    history(ann.id, query).then(400).with_error_naming("'field'");
  }
  history(ann.id, "page=1").then(400).with_error_naming("'page'");
  history(ann.id, "limit=1&limit=1").then(400).with_error_naming("'limit'");
}

TEST_F(History, IsTheSameAfterARestartAndARebuild) {
  ServerProcess server;
  ApiUser caller = given_user(server);
  Contact ann = caller.given_contact();
  for (int i = 0; i < 70; ++i) {
    caller.given_patched(ann.id, R"({"company": ")" + std::to_string(i) + "\"}");
  }
  const std::string before = caller.send("GET", path(ann.id, "limit=100")).then(200).body();
  const std::string old = caller.read(ann.id + "?version=66").then(200).body();
  for (const bool rebuild : {false, true}) {
    EXPECT_EQ(server.stop(), exited(0));
    if (rebuild) std::filesystem::remove_all(server.data_dir() / "projections");
    server.start();
    caller.move_to(server.port());
    EXPECT_EQ(caller.send("GET", path(ann.id, "limit=100")).then(200).body(), before);
    EXPECT_EQ(caller.read(ann.id + "?version=66").then(200).body(), old);
  }
}

TEST_F(History, NaughtyStringsAreToldToTheByte) {
  const auto suite = find_suite("naughty_strings/strings.json");
  CONTACTD_NEEDS_SUITE(suite);
  const Contact ann = user.given_contact(R"({"last_name": "none"})");
  json::value before = "none";
  std::size_t told = 0;
  const json::value strings = json::parse(read_whole_file(suite));
  for (const json::value& string : strings.as_array()) {
    const Answer patched = user.patch(ann.id, json::serialize(json::object{{"last_name", string}}));
    if (patched.status() != 200 || string == before) continue;
    ++told;
    const json::value event = history(ann.id, "limit=1").then(200).json().at("data").at(0);
    const json::value expected =
        json::object{{"last_name", json::object{{"old", before}, {"new", string}}}};
    EXPECT_EQ(event.at("changes"), expected);
    user.read(ann.id + "?version=" + std::to_string(told + 1)).with_field("last_name", string);
    before = string;
  }
  EXPECT_GT(told, 100U);
}

}  // namespace
}  // namespace contactd::test
