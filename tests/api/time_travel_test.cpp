#include <boost/json.hpp>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "tests/support/api_fixture.hpp"

// GET /contacts/{contactId}?version= and ?at=, and GET /contacts?at=.
namespace contactd::test {
namespace {

namespace json = boost::json;

constexpr std::string_view nobody = "AbCdEfGhIjKlMnOpQrSt";

std::string string_at(const json::object& object, std::string_view name) {
  return json::value_to<std::string>(object.at(name));
}

class TimeTravel : public ApiTest {
 protected:
  Answer as_of(const std::string& id, const std::string& query, const Headers& headers = {}) {
    return user.read(id + '?' + query, headers);
  }
};

TEST_F(TimeTravel, ReadsEveryVersionThatAContactHad) {
  std::vector<Contact> versions = {
      user.given_contact(R"({"first_name": "Ann", "email": "ann@example.com"})")};
  const std::string id = versions.front().id;
  versions.push_back(user.given_patched(id, R"({"email": "ann@example.org", "tags": ["vip"]})"));
  versions.push_back(user.given_patched(id, R"({"company": "Acme"})"));
  const auto expect_versions = [&] {
    for (std::size_t i = 0; i < versions.size(); ++i) {
      const Answer read = as_of(id, "version=" + std::to_string(i + 1)).then(200);
      EXPECT_EQ(read.data(), versions[i].data);
      read.with_header("ETag", versions[i].etag);
      EXPECT_EQ(read.json().as_object().size(), 1U);
    }
  };
  expect_versions();
  user.remove(id).then(200);
  expect_versions();
}

TEST_F(TimeTravel, ReadsAVersionToTheByteAsItWasAnswered) {
  const Answer created = user.create(R"({"first_name": "a\"\\\u0001/é", "tags": ["x", ""]})");
  const std::string id = string_at(created.data(), "id");
  user.given_patched(id, R"({"first_name": "b"})");
  EXPECT_EQ(as_of(id, "version=1").body(), created.body());
}

TEST_F(TimeTravel, OfAVersionTakesIfNoneMatchAndHead) {
  const Contact ann = user.given_contact();
  const Contact now = user.given_patched(ann.id, R"({"company": "Acme"})");
  for (const std::string& query :
       {std::string{"version=1"}, "at=" + string_at(ann.data, "updated_at")}) {
    const std::string etag = as_of(ann.id, query).etag();
    as_of(ann.id, query, {{"If-None-Match", etag}}).then(304).with_header("ETag", etag);
    as_of(ann.id, query, {{"If-None-Match", "\"9\""}}).then(200);
    const Answer head = user.send("HEAD", contact_path(ann.id) + '?' + query).then(200);
    head.with_header("ETag", etag);
    EXPECT_EQ(head.body(), "");
  }
  as_of(ann.id, "version=1", {{"If-None-Match", now.etag}}).then(200);
}

TEST_F(TimeTravel, ReadsAContactAtATime) {
  Contact ann = user.given_contact();
  const std::string created_at = string_at(ann.data, "created_at");
  // Until a millisecond has passed.
  while (string_at(ann.data, "updated_at") == created_at) {
    const std::string company = string_at(ann.data, "updated_at") + ann.etag;
    ann = user.given_patched(ann.id, json::serialize(json::object{{"company", company}}));
  }
  const std::string then = string_at(ann.data, "updated_at");
  const std::string before = as_of(ann.id, "at=" + created_at).then(200).etag();
  EXPECT_NE(before, ann.etag);
  const Answer now = as_of(ann.id, "at=" + then).then(200).with_header("ETag", ann.etag);
  EXPECT_EQ(now.data(), ann.data);
  as_of(ann.id, "at=2999-01-01").then(200).with_header("ETag", ann.etag);
  // The same instant in other words.
  const std::string bare = then.substr(0, then.size() - 1);
  as_of(ann.id, "at=" + bare + "%2B00:00").then(200).with_header("ETag", ann.etag);
  as_of(ann.id, "at=" + bare + "999Z").then(200).with_header("ETag", ann.etag);
}

TEST_F(TimeTravel, SaysWhyThereIsNothing) {
  const Contact ann = user.given_contact();
  as_of(ann.id, "version=2")
      .then(404)
      .with_error("This contact has no such version; the latest that can be read is 1");
  as_of(ann.id, "version=18446744073709551615").then(404);
  as_of(ann.id, "at=2001-01-01")
      .then(404)
      .with_error("This contact wasn't there at that time: it was created at " +
                  string_at(ann.data, "created_at"));
  user.remove(ann.id).then(200);
  const Answer events = user.send("GET", contact_path(ann.id) + "/history?limit=1");
  const std::string deleted_at = string_at(events.json().at("data").at(0).as_object(), "time");
  const std::string sentence = "This contact is deleted: that is its version 2, of " + deleted_at;
  for (const std::string query : {"version=2", "at=2999-01-01"}) {
    as_of(ann.id, query).then(404).with_error(sentence).without_header("ETag");
  }
  as_of(ann.id, "at=" + deleted_at).then(404).with_error(sentence);
  as_of(ann.id, "version=3")
      .then(404)
      .with_error("This contact has no such version; the latest that can be read is 1");
}

TEST_F(TimeTravel, OfAContactThatNeverWasOrIsAnothersIsTheSame404) {
  ApiUser other = given_user(shared_server());
  const Contact theirs = other.given_contact();
  const std::string unknown = user.read(nobody).then(404).body();
  for (const std::string& id : {std::string{nobody}, theirs.id, std::string{"x"}}) {
    for (const std::string query : {"version=1", "version=9", "at=2999-01-01", "at=2001-01-01"}) {
      EXPECT_EQ(as_of(id, query).then(404).body(), unknown);
    }
  }
}

TEST_F(TimeTravel, RefusesParametersThatAreWrongByName) {
  const Contact ann = user.given_contact();
  for (const std::string query : {"version=0", "version=", "version=x", "version=-1", "version=1.0",
                                  "version=18446744073709551616", "version=%201"}) {
    as_of(ann.id, query).then(400).with_error_naming("'version'");
  }
  for (const std::string query :
       {"at=", "at=x", "at=2025-13-01", "at=2025-07-15T10:30:00", "at=2025-07-15T10:30:00+00:00"}) {
    as_of(ann.id, query).then(400).with_error_naming("'at'");
    user.list(query).then(400).with_error_naming("'at'");
  }
  as_of(ann.id, "version=1&at=2025-07-15").then(400).with_error_naming("'version' and 'at'");
  as_of(ann.id, "version=1&version=1").then(400).with_error_naming("'version'");
  as_of(ann.id, "version=1&fields=email").then(400).with_error_naming("'fields'");
}

TEST_F(TimeTravel, OfAListTakesPagingAndNothingElse) {
  user.given_contact();
  const std::string at = "at=2999-01-01";
  for (const std::string name : {"status=active", "email=a@b.io", "tag=vip",
                                 "updated_from=2025-07-15", "updated_to=2025-07-15"}) {
    const std::string quoted = '\'' + name.substr(0, name.find('=')) + '\'';
    user.list(at + '&' + name).then(400).with_error_naming(quoted).with_error_naming("'at'");
    user.list(name + '&' + at).then(400).with_error_naming(quoted);
  }
  user.list(at + "&page=1&cursor=").then(400).with_error("Invalid pagination parameters");
  user.list(at + "&page_size=0").then(400).with_error("Invalid pagination parameters");
  user.list(at + '&' + at).then(400).with_error_naming("'at'");
}

TEST_F(TimeTravel, CursorsOfThePastAndThePresentAreNotMixedUp) {
  user.given_contact();
  user.given_contact();
  const std::string at = "at=2999-01-01";
  const auto cursor_of = [&](const std::string& query) {
    return json::value_to<std::string>(user.list(query).json().at("next_cursor"));
  };
  const std::string past = cursor_of(at + "&page_size=1");
  const std::string present = cursor_of("page_size=1");
  user.list(at + "&cursor=" + past).then(200);
  user.list("cursor=" + past + '&' + at).then(200);
  user.list("at=2998-01-01&cursor=" + past).then(400).with_error_naming("'cursor'");
  user.list("cursor=" + past).then(400).with_error_naming("'cursor'");
  user.list(at + "&cursor=" + present).then(400).with_error_naming("'cursor'");
  user.list(at + "&cursor=02short").then(400).with_error_naming("'cursor'");
}

TEST_F(TimeTravel, OfAListIsOfOneOrganization) {
  ApiUser other = given_user(shared_server());
  other.given_contact();
  user.list("at=2999-01-01").then(200).with_member("data", json::array{});
  user.list("at=2001-01-01").then(200).with_member("data", json::array{});
}

// CONTACTD_TEST_SEED, or a new one each time.
std::uint64_t test_seed() {
  const char* const given = std::getenv("CONTACTD_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}

  std::size_t below(std::size_t count) { return static_cast<std::size_t>(engine_() % count); }
  bool one_in(std::size_t count) { return below(count) == 0; }
  json::value pick(const std::vector<std::string>& from) { return text(from[below(from.size())]); }

 private:
  std::mt19937_64 engine_;
};

const std::vector<std::string> words = {"", "a", "Acme", "\"\\", "\x01\n", "漢", "😀", "</script>"};
const std::vector<std::string> emails = {"a@x.io", "b@x.io", "c@x.io", "d@x.io",
                                         "e@x.io", "f@x.io", "g@x.io", "h@x.io"};

// What a client that noted every answer knows.
class World {
 public:
  World(ApiUser& user, Dice& random) : user_(user), random_(random) {}

  void act() {
    if (contacts_.size() < 4 || random_.one_in(12)) return note(user_.create(body()));
    const std::string id = some_contact();
    auto& versions = contacts_[id];
    if (random_.one_in(5)) {
      const std::size_t version = 1 + random_.below(versions.size());
      const Answer reverted = user_.send("POST", contact_path(id) + "/revert", {},
                                         json::serialize(json::object{{"version", version}}));
      if (gone_.contains(id)) {
        reverted.then(404);
      } else if (reverted.status() != 409) {
        expect_reverted(reverted, versions[version - 1]);
      }
      note(reverted);
    } else if (random_.one_in(25)) {
      remove(id);
    } else {
      note(user_.patch(id, body()));
    }
  }

  // GET, every version, and a fold of the history say the same.
  void expect_contacts() {
    for (const auto& [id, versions] : contacts_) {
      if (gone_.contains(id)) {
        user_.read(id).then(404);
      } else {
        EXPECT_EQ(user_.read(id).then(200).data(), versions.back());
      }
      for (std::size_t i = 0; i < versions.size(); ++i) {
        const Answer read = user_.read(id + "?version=" + std::to_string(i + 1)).then(200);
        ASSERT_EQ(read.data(), versions[i]);
        read.with_header("ETag", '"' + std::to_string(i + 1) + '"');
      }
      expect_history(id, versions);
    }
  }

  void expect_times() {
    std::set<std::string> times = {"2001-01-01T00:00:00.000Z"};
    for (const auto& [id, versions] : contacts_) {
      for (const json::object& contact : versions) times.insert(string_at(contact, "updated_at"));
    }
    for (const auto& [id, time] : gone_) times.insert(time);
    for (const std::string& time : times) expect_list(time);
  }

 private:
  std::string some_contact() {
    auto at = contacts_.begin();
    std::advance(at, random_.below(contacts_.size()));
    return at->first;
  }

  std::string body() {
    json::object body;
    if (random_.one_in(2)) body["company"] = random_.pick(words);
    if (random_.one_in(4)) body["website"] = random_.pick(words);
    if (random_.one_in(4)) body["website"] = nullptr;
    if (random_.one_in(8)) body["email"] = random_.pick(emails);
    if (random_.one_in(5)) body["status"] = random_.one_in(2) ? "active" : "inactive";
    if (random_.one_in(5)) body["tags"] = json::array{random_.pick(words), "vip"};
    return json::serialize(body);
  }

  void note(const Answer& answer) {
    if (answer.status() == 409) return;  // another has the email
    const json::object contact = answer.data();
    if (!contact.contains("id")) return answer.then(404), void();  // it is deleted
    auto& versions = contacts_[string_at(contact, "id")];
    if (versions.empty()) created_.push_back(string_at(contact, "id"));
    if (answer.etag() == '"' + std::to_string(versions.size()) + '"') return;  // nothing changed
    versions.push_back(contact);
    EXPECT_EQ(answer.etag(), '"' + std::to_string(versions.size()) + '"');
  }

  void remove(const std::string& id) {
    if (gone_.contains(id)) return;
    user_.remove(id).then(200);
    const Answer events = user_.send("GET", contact_path(id) + "/history?limit=1").then(200);
    gone_[id] = string_at(events.json().at("data").at(0).as_object(), "time");
  }

  static void expect_reverted(const Answer& answer, const json::object& version) {
    answer.then(200);
    for (const auto& [name, value] : version) {
      if (name != "updated_at") answer.with_field(name, value);
    }
  }

  void expect_history(const std::string& id, const std::vector<json::object>& versions) {
    const std::size_t length = versions.size() + (gone_.contains(id) ? 1 : 0);
    std::vector<json::value> events;  // newest first
    std::string cursor;
    do {
      const json::value page =
          user_.send("GET", contact_path(id) + "/history?limit=7&cursor=" + cursor).json();
      for (const json::value& event : page.at("data").as_array()) events.push_back(event);
      const json::value& next = page.at("next_cursor");
      cursor = next.is_null() ? "" : json::value_to<std::string>(next);
    } while (!cursor.empty());
    ASSERT_EQ(events.size(), length);
    json::object folded = versions.front();
    for (auto& [name, value] : folded) {
      if (name != "id" && name != "created_at") value = nullptr;
    }
    folded["tags"] = json::array{};
    for (std::size_t i = 0; i < versions.size(); ++i) {
      const json::value& event = events[length - 1 - i];
      for (const auto& [name, change] : event.at("changes").as_object()) {
        ASSERT_EQ(change.at("old"), folded.at(name));
        folded[name] = change.at("new");
      }
      folded["updated_at"] = event.at("time");
      ASSERT_EQ(folded, versions[i]);
    }
  }

  void expect_list(const std::string& time) {
    json::array expected;
    for (const std::string& id : created_) {
      const auto& versions = contacts_.at(id);
      const json::object* then = nullptr;
      for (const json::object& contact : versions) {
        if (string_at(contact, "updated_at") <= time) then = &contact;
      }
      const auto gone = gone_.find(id);
      if (gone != gone_.end() && gone->second <= time) then = nullptr;
      if (then != nullptr) expected.push_back(*then);
      const Answer read = user_.read(id + "?at=" + time);
      read.then(then == nullptr ? 404 : 200);
      if (then != nullptr) {
        ASSERT_EQ(read.data(), *then);
      }
    }
    const Answer whole = user_.list("page_size=200&at=" + time).then(200);
    whole.with_member("data", expected);
    EXPECT_EQ(whole.json().at("pagination").at("total"), expected.size());
    json::array paged;
    std::string query = "page_size=3&at=" + time + "&cursor=";
    for (std::string cursor;;) {
      const json::value page = user_.list(query + cursor).then(200).json();
      for (const json::value& contact : page.at("data").as_array()) paged.push_back(contact);
      if (page.at("next_cursor").is_null()) break;
      cursor = json::value_to<std::string>(page.at("next_cursor"));
    }
    EXPECT_EQ(paged, expected);
    const json::value second = user_.list("page=2&page_size=3&at=" + time).then(200).json();
    const std::size_t from = std::min<std::size_t>(3, expected.size());
    const std::size_t to = std::min<std::size_t>(6, expected.size());
    EXPECT_EQ(second.at("data"), json::array(expected.begin() + static_cast<long>(from),
                                             expected.begin() + static_cast<long>(to)));
  }

  ApiUser& user_;
  Dice& random_;
  std::map<std::string, std::vector<json::object>> contacts_;  // by id: each version
  std::vector<std::string> created_;                           // ids, in that order
  std::map<std::string, std::string> gone_;                    // by id: when it was deleted
};

TEST_F(TimeTravel, AgreesWithEveryAnswerThatWasGiven) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE("to repeat: CONTACTD_TEST_SEED=" + std::to_string(seed));
  Dice random{seed};
  World world{user, random};
  for (int i = 0; i < 400 && !HasFailure(); ++i) world.act();
  ASSERT_NO_FATAL_FAILURE(world.expect_contacts());
  ASSERT_NO_FATAL_FAILURE(world.expect_times());
}

}  // namespace
}  // namespace contactd::test
