#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <map>
#include <sstream>
#include <thread>
#include <vector>

#include "tests/domain/samples.hpp"
#include "tests/support/api_fixture.hpp"
#include "tests/support/kafka_broker.hpp"

// What others make of the topic, with programs that know nothing of contactd: the example of
// examples/consumer, and kcat.
namespace contactd::test {
namespace {

namespace json = boost::json;

constexpr const char* python = "/usr/bin/python3";  // Debian's, which has Debian's confluent-kafka
constexpr const char* kcat = "/usr/bin/kcat";
constexpr int partitions = 3;
constexpr int organizations = 4;
constexpr int requests = 60;  // of each organization
constexpr std::chrono::milliseconds consumer_wait_max{60'000};

// An event of a contact, as far as its order says something.
struct Fact {
  std::string type;
  std::string contact;
  std::int64_t version = 0;

  auto operator<=>(const Fact&) const = default;
};
void PrintTo(const Fact& fact, std::ostream* out) {
  *out << fact.type << ' ' << fact.contact << ' ' << fact.version;
}

struct Story {
  std::vector<Fact> facts;                       // in the order in which they happened
  std::map<std::string, json::object> contacts;  // those that are there at the end
};
using Stories = std::map<std::string, Story>;  // by organization

std::string text_of(const json::value& value) { return json::value_to<std::string>(value); }

// Changes contacts at random, one request after the other, and keeps what must come of it.
class Narrator {
 public:
  Narrator(ApiUser user, std::uint64_t seed) : user_(std::move(user)), random_(seed) {}

  Story tell() {
    create();
    for (int i = 0; i < requests; ++i) {
      const std::size_t what = random_.below(10);
      if (what == 0 || contacts_.empty()) create();
      if (what == 1) remove();
      if (what == 2) change_nothing();
      if (what == 3) be_refused();
      if (what > 3) update();
    }
    for (const auto& [id, version] : contacts_) story_.contacts[id] = user_.read(id).data();
    return std::move(story_);
  }

 private:
  // REQUIRES: there is a contact.
  std::pair<const std::string, std::int64_t>& any() {
    return *std::next(contacts_.begin(),
                      static_cast<std::ptrdiff_t>(random_.below(contacts_.size())));
  }
  std::string values() {
    return json::serialize(json::object{{"first_name", random_.text(6) + next()},
                                        {"company", random_.text(6)},
                                        {"website", nullptr},
                                        {"email", next() + "@x.io"},
                                        {"tags", json::array{random_.text(3), next()}}});
  }
  std::string next() { return std::to_string(++count_); }

  void create() {
    const Contact made = user_.given_contact(values());
    contacts_[made.id] = 1;
    story_.facts.push_back({"contactd.contact.created.v1", made.id, 1});
  }
  void update() {
    if (contacts_.empty()) return;
    auto& [id, version] = any();
    user_.patch(id, values()).then(200);
    story_.facts.push_back({"contactd.contact.updated.v1", id, ++version});
  }
  void change_nothing() {
    if (contacts_.empty()) return;
    const std::string id = any().first;
    user_.patch(id, "{}").then(200);
    const json::value email = user_.read(id).data().at("email");
    user_.patch(id, json::serialize(json::object{{"email", email}})).then(200);
  }
  void be_refused() {
    if (contacts_.size() < 2) return;
    const std::string id = contacts_.begin()->first;
    const json::value email = user_.read(contacts_.rbegin()->first).data().at("email");
    user_.patch(id, json::serialize(json::object{{"company", "never"}, {"email", email}}))
        .then(409);
    user_.patch(id, R"({"company": "never", "no_such_field": 1})").then(400);
    user_.patch("AbCdEfGhIjKlMnOpQrSt", R"({"company": "never"})").then(404);
    const Headers condition = {{"If-Match", "\"0\""}};
    user_.patch(id, R"({"company": "never"})", condition).then(412);
  }
  void remove() {
    if (contacts_.empty()) return;
    const auto [id, version] = any();
    contacts_.erase(id);
    user_.remove(id).then(200);
    story_.facts.push_back({"contactd.contact.deleted.v1", id, version + 1});
  }

  ApiUser user_;
  Random random_;
  Story story_;
  std::map<std::string, std::int64_t> contacts_;  // and their versions
  int count_ = 0;
};

Stories tell_at_once(const ServerProcess& server, std::uint64_t seed) {
  std::vector<Narrator> narrators;
  std::vector<std::string> names;
  for (int i = 0; i < organizations; ++i) {
    ApiUser user = given_user(server);
    names.push_back(user.organization());
    narrators.emplace_back(std::move(user), seed + static_cast<std::uint64_t>(i));
  }
  std::vector<Story> told(narrators.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < narrators.size(); ++i) {
    threads.emplace_back([&, i] { told[i] = narrators[i].tell(); });
  }
  for (std::thread& thread : threads) thread.join();
  Stories stories;
  for (std::size_t i = 0; i < told.size(); ++i) stories[names[i]] = std::move(told[i]);
  return stories;
}

// What no consumer may see: a record of somebody else's, and an aborted ContactUpdated.
void disturb(const std::string& bootstrap, const std::string& topic, const Stories& stories) {
  const auto& [organization, story] = *stories.begin();
  const Finished done = run_program({python, CONTACTD_SOURCE "/tests/kafka/disturb.py", bootstrap,
                                     topic, organization, story.facts.front().contact},
                                    {}, {}, consumer_wait_max);
  ASSERT_EQ(done.status, exited(0)) << done.err;
}

// A contact without members that have no value, and without what only the API or only a consumer
// knows.
json::object essence(const json::object& contact) {
  json::object out;
  for (const auto& [name, value] : contact) {
    const bool empty = value.is_null() || (value.is_array() && value.get_array().empty());
    if (!empty && name != "id" && name != "version") out[name] = value;
  }
  return out;
}

void expect_same(const Stories& seen, const Stories& told) {
  for (const auto& [organization, story] : told) {
    SCOPED_TRACE(organization);
    ASSERT_TRUE(seen.contains(organization));
    const Story& other = seen.at(organization);
    EXPECT_EQ(other.facts, story.facts);
    EXPECT_EQ(other.contacts.size(), story.contacts.size());
    for (const auto& [id, contact] : story.contacts) {
      ASSERT_TRUE(other.contacts.contains(id)) << id;
      EXPECT_EQ(essence(other.contacts.at(id)), essence(contact)) << id;
    }
  }
  EXPECT_EQ(seen.size(), told.size());
}

Stories seen_by_example(const std::string& bootstrap, const std::string& topic) {
  const Finished done =
      run_program({python, CONTACTD_SOURCE "/examples/consumer/consumer.py", bootstrap, topic},
                  {{"TRACE", "1"}}, {}, consumer_wait_max);
  EXPECT_EQ(done.status, exited(0)) << done.err;
  if (done.status != exited(0)) return {};
  Stories stories;
  const json::value folded = json::parse(done.out);
  for (const auto& [organization, contacts] : folded.as_object()) {
    Story& story = stories[organization];
    for (const auto& [id, contact] : contacts.as_object()) story.contacts[id] = contact.as_object();
  }
  std::istringstream lines{done.err};
  for (std::string line; std::getline(lines, line);) {
    const json::value fact = json::parse(line);
    stories[text_of(fact.at(0))].facts.push_back(
        {text_of(fact.at(1)), text_of(fact.at(2)), fact.at(3).as_int64()});
  }
  return stories;
}

// The attributes of a record as kcat prints it: `"headers": [name, value, ...]`.
std::map<std::string, std::string> headers_of(const json::value& record) {
  std::map<std::string, std::string> headers;
  const json::value* const list = record.as_object().if_contains("headers");
  if (list == nullptr) return headers;
  const json::array& items = list->as_array();
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    headers[text_of(items[i])] = text_of(items[i + 1]);
  }
  return headers;
}

void fold(Story& story, const std::map<std::string, std::string>& event, const json::value& data) {
  const std::string& type = event.at("ce_type");
  const std::string id = event.at("ce_subject");
  story.facts.push_back({type, id, std::stoll(event.at("ce_contactversion"))});
  if (type == "contactd.contact.deleted.v1") {
    story.contacts.erase(id);
    return;
  }
  json::object& contact = story.contacts[id];
  if (type == "contactd.contact.created.v1") contact["created_at"] = event.at("ce_time");
  contact["updated_at"] = event.at("ce_time");
  for (const auto& [field, change] : data.at("changes").as_object()) {
    contact[field] = change.at("new");
  }
}

Stories seen_by_kcat(const std::string& bootstrap, const std::string& topic) {
  const Finished done = run_program({kcat, "-C", "-b", bootstrap, "-t", topic, "-o", "beginning",
                                     "-e", "-q", "-J", "-X", "isolation.level=read_committed"},
                                    {}, {}, consumer_wait_max);
  EXPECT_EQ(done.status, exited(0)) << done.err;
  Stories stories;
  std::istringstream lines{done.out};
  for (std::string line; std::getline(lines, line);) {
    const json::value record = json::parse(line);
    const auto event = headers_of(record);
    if (!event.contains("ce_subject")) continue;
    EXPECT_EQ(event.at("ce_organization"), text_of(record.at("key")));
    const json::value data = json::parse(text_of(record.at("payload")));
    fold(stories[event.at("ce_organization")], event, data);
  }
  return stories;
}

TEST(Consumers, SeeEachFactOnceAndInOrder) {
  CONTACTD_NEEDS_KAFKA();
  if (!std::filesystem::exists(kcat)) GTEST_SKIP() << "SUITE NOT RUN: there is no " << kcat;
  if (run_program({python, "-c", "import confluent_kafka"}).status != exited(0)) {
    GTEST_SKIP() << "SUITE NOT RUN: " << python << " has no confluent_kafka";
  }
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  const std::string topic = "contacts.consumers";
  const KafkaBroker& broker = *shared_kafka_broker();
  ServerProcess server{{broker.serve_flags(topic, partitions), {}}};
  shared_server();  // started by this thread; the other threads check answers against its document

  const Stories told = tell_at_once(server, seed);
  disturb(broker.bootstrap(), topic, told);
  {
    SCOPED_TRACE("examples/consumer");
    expect_same(seen_by_example(broker.bootstrap(), topic), told);
  }
  {
    SCOPED_TRACE("kcat");
    expect_same(seen_by_kcat(broker.bootstrap(), topic), told);
  }
  // The foreign records are passed over, the aborted ones unseen: changes go on.
  given_user(server).given_contact();
}

}  // namespace
}  // namespace contactd::test
