// The history, the feed, the topic and the API tell one story: contacts are changed at random, with
// restarts in between, and then folded from each.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <iostream>
#include <map>
#include <set>

#include "tests/domain/samples.hpp"
#include "tests/support/api_fixture.hpp"
#include "tests/support/kafka_broker.hpp"

namespace contactd::test {
namespace {

namespace json = boost::json;

constexpr int agreement_rounds = 4;
constexpr int requests_a_round = 120;
constexpr const char* topic = "contacts.agreement";
constexpr const char* python = "/usr/bin/python3";  // Debian's, which has Debian's confluent-kafka
constexpr std::chrono::milliseconds consumer_wait_max{60'000};

std::string text_of(const json::value& value) { return json::value_to<std::string>(value); }

// Contacts by id, each without its id and without what has no value.
using Contacts = std::map<std::string, json::object>;

json::object essence(const json::object& contact) {
  json::object out;
  for (const auto& [name, value] : contact) {
    const bool empty = value.is_null() || (value.is_array() && value.get_array().empty());
    if (!empty && name != "id" && name != "version") out[name] = value;
  }
  return out;
}

Contacts essences(const Contacts& contacts) {
  Contacts out;
  for (const auto& [id, contact] : contacts) out[id] = essence(contact);
  return out;
}

// Folds one event; nothing is known of its kind but what its type and its data say.
void fold(Contacts& contacts, const std::string& type, const std::string& id,
          const std::string& time, std::int64_t version, const json::value& changes) {
  if (type == "contactd.contact.created.v1") {
    EXPECT_FALSE(contacts.contains(id)) << id;
    contacts[id] = {{"created_at", time}, {"version", 0}};
  }
  ASSERT_TRUE(contacts.contains(id)) << type << ' ' << id;
  ASSERT_EQ(contacts[id].at("version").as_int64() + 1, version) << id;
  if (type == "contactd.contact.deleted.v1") {
    contacts.erase(id);
    return;
  }
  json::object& contact = contacts[id];
  contact["version"] = version;
  contact["updated_at"] = time;
  for (const auto& [field, change] : changes.as_object()) {
    const json::value* const before = contact.if_contains(field);
    const bool unset = change.at("old").is_null() || field == "tags";
    EXPECT_TRUE(before == nullptr ? unset : *before == change.at("old")) << id << ' ' << field;
    contact[field] = change.at("new");
  }
}

// Changes contacts of one organization at random.
class Scribe {
 public:
  Scribe(ApiUser user, std::uint64_t seed) : user_(std::move(user)), random_(seed) {}

  void write() {
    for (int i = 0; i < requests_a_round; ++i) {
      const std::size_t what = random_.below(12);
      if (what == 0 || there_.empty()) {
        create();
      } else if (what == 1) {
        remove();
      } else if (what < 5) {
        revert();
      } else {
        user_.patch(any(), values());  // some are refused: the email is another's
      }
    }
  }

  // Everybody that ever was.
  const std::set<std::string>& known() const { return known_; }
  ApiUser& user() { return user_; }

 private:
  std::string any() {
    return *std::next(there_.begin(), static_cast<std::ptrdiff_t>(random_.below(there_.size())));
  }
  std::string values() {
    return json::serialize(json::object{{"first_name", random_.text(6)},
                                        {"company", random_.text(3)},
                                        {"website", nullptr},
                                        {"email", std::to_string(random_.below(8)) + "@x.io"},
                                        {"tags", json::array{random_.text(3), random_.text(2)}}});
  }
  void create() {
    const Answer made = user_.create(values());
    if (made.status() != 201) return;
    const std::string id = text_of(made.data().at("id"));
    there_.insert(id);
    known_.insert(id);
  }
  void remove() {
    const std::string id = any();
    user_.remove(id).then(200);
    there_.erase(id);
  }
  void revert() {
    const std::string version = std::to_string(1 + random_.below(6));
    user_.send("POST", contact_path(any()) + "/revert", {}, "{\"version\":" + version + '}');
  }

  ApiUser user_;
  Random random_;
  std::set<std::string> there_;
  std::set<std::string> known_;
};

Contacts read_by_api(ApiUser& user) {
  Contacts contacts;
  std::string cursor;
  for (;;) {
    const json::value page = user.list("page_size=200&cursor=" + cursor).then(200).json();
    for (const json::value& contact : page.at("data").as_array()) {
      contacts[text_of(contact.at("id"))] = contact.as_object();
    }
    const json::value& next = page.at("next_cursor");
    if (next.is_null()) return contacts;
    cursor = text_of(next);
  }
}

Contacts fold_feed(ApiUser& user, std::size_t& events) {
  Contacts contacts;
  std::string cursor;
  for (;;) {
    const json::value page =
        user.send("GET", "/api/v1/events?limit=37&after=" + cursor).then(200).json();
    for (const json::value& event : page.at("data").as_array()) {
      ++events;
      const json::object& data = event.at("data").as_object();
      const json::value* const changes = data.if_contains("changes");
      EXPECT_EQ(event.at("contactversion"), data.at("version"));
      fold(contacts, text_of(event.at("type")), text_of(event.at("subject")),
           text_of(event.at("time")), data.at("version").as_int64(),
           changes == nullptr ? json::object{} : *changes);
    }
    cursor = text_of(page.at("next_cursor"));
    if (page.at("has_more") == false) return contacts;
  }
}

Contacts fold_histories(ApiUser& user, const std::set<std::string>& known, std::size_t& events) {
  Contacts contacts;
  for (const std::string& id : known) {
    json::array newest_first;
    std::string cursor;
    do {
      const json::value page =
          user.send("GET", contact_path(id) + "/history?limit=11&cursor=" + cursor)
              .then(200)
              .json();
      for (const json::value& event : page.at("data").as_array()) newest_first.push_back(event);
      cursor = page.at("next_cursor").is_null() ? "" : text_of(page.at("next_cursor"));
    } while (!cursor.empty());
    events += newest_first.size();
    for (std::size_t i = newest_first.size(); i > 0; --i) {
      const json::value& event = newest_first[i - 1];
      fold(contacts, text_of(event.at("type")), id, text_of(event.at("time")),
           event.at("version").as_int64(), event.at("changes"));
    }
  }
  return contacts;
}

Contacts fold_topic(const std::string& organization) {
  const std::string bootstrap = shared_kafka_broker()->bootstrap();
  const Finished done =
      run_program({python, CONTACTD_SOURCE "/examples/consumer/consumer.py", bootstrap, topic}, {},
                  {}, consumer_wait_max);
  EXPECT_EQ(done.status, exited(0)) << done.err;
  Contacts contacts;
  if (done.status != exited(0)) return contacts;
  const json::value printed = json::parse(done.out);  // outlives the loop over a part of it
  for (const auto& [id, contact] : printed.at(organization).as_object()) {
    contacts[id] = contact.as_object();
  }
  return contacts;
}

TEST(Agreement, OfFeedHistoriesTopicAndApi) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  ServerSettings settings;
  if (tests_run_on_kafka()) settings.flags = shared_kafka_broker()->serve_flags(topic, 3);
  ServerProcess server{settings};
  Scribe scribe{given_user(server), seed};
  for (int round = 0; round < agreement_rounds; ++round) {
    scribe.write();
    if (round % 2 == 0) {
      server.kill();
    } else {
      EXPECT_EQ(server.stop(), exited(0));
    }
    server.start();
    scribe.user().move_to(server.port());
  }
  const Contacts contacts = essences(read_by_api(scribe.user()));
  std::size_t in_feed = 0;
  std::size_t in_histories = 0;
  EXPECT_EQ(essences(fold_feed(scribe.user(), in_feed)), contacts);
  EXPECT_EQ(essences(fold_histories(scribe.user(), scribe.known(), in_histories)), contacts);
  EXPECT_EQ(in_feed, in_histories);
  std::cout << contacts.size() << " of " << scribe.known().size() << " contacts, " << in_feed
            << " events: the same from the feed, from the histories and from the API\n";
  if (!tests_run_on_kafka()) return;
  if (run_program({python, "-c", "import confluent_kafka"}).status != exited(0)) {
    GTEST_SKIP() << "SUITE NOT RUN: " << python << " has no confluent_kafka";
  }
  EXPECT_EQ(essences(fold_topic(scribe.user().organization())), contacts);
  std::cout << "and from the topic\n";
}

}  // namespace
}  // namespace contactd::test
