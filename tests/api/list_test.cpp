#include <algorithm>
#include <boost/json.hpp>
#include <boost/url/encode.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "tests/api/large_patch.hpp"
#include "tests/support/api_fixture.hpp"

// GET /contacts: pages, filters, cursors.
namespace contactd::test {
namespace {

namespace json = boost::json;

class List : public ApiTest {
 protected:
  std::vector<Contact> given_contacts(std::size_t count) {
    std::vector<Contact> contacts(count);
    for (std::size_t i = 0; i < count; ++i) {
      contacts[i] = user.given_contact(
          json::serialize(json::object{{"first_name", "Contact " + std::to_string(i)}}));
    }
    return contacts;
  }
};

std::string encoded(std::string_view value) {
  return boost::urls::encode(value, boost::urls::unreserved_chars);
}

std::vector<std::string> ids_in(const Answer& answer) {
  std::vector<std::string> ids;
  const json::value page = answer.json();
  for (const json::value& contact : page.at("data").as_array()) {
    ids.push_back(json::value_to<std::string>(contact.at("id")));
  }
  return ids;
}

std::vector<std::string> ids_of(const std::vector<Contact>& contacts) {
  std::vector<std::string> ids(contacts.size());
  std::transform(contacts.begin(), contacts.end(), ids.begin(),
                 [](const Contact& contact) { return contact.id; });
  return ids;
}

// The cursor for what follows; empty at the end.
std::string next_cursor(const Answer& answer) {
  const json::value cursor = answer.json().at("next_cursor");
  return cursor.is_null() ? "" : json::value_to<std::string>(cursor);
}

TEST_F(List, OfAnOrganizationWithoutContactsIsEmpty) {
  user.list()
      .then(200)
      .with_member("data", json::array{})
      .with_member("pagination", {{"total", 0}, {"page", 1}, {"page_size", 50}, {"total_pages", 0}})
      .with_member("next_cursor", nullptr)
      .without_header("Link");
}

TEST_F(List, HasWholeContactsLeastRecentlyUpdatedFirst) {
  const auto contacts = given_contacts(3);
  const Contact changed = user.given_patched(contacts[0].id, R"({"company": "Acme Inc"})");

  const json::array expected = {contacts[1].data, contacts[2].data, changed.data};
  user.list().then(200).with_member("data", expected);
}

TEST_F(List, PagesPartTheContacts) {
  const auto contacts = given_contacts(7);

  std::vector<std::string> seen;
  for (int page = 1; page <= 4; ++page) {
    const Answer answer = user.list("page=" + std::to_string(page) + "&page_size=2").then(200);
    answer.with_member("pagination",
                       {{"total", 7}, {"page", page}, {"page_size", 2}, {"total_pages", 4}});
    for (const std::string& id : ids_in(answer)) seen.push_back(id);
  }
  EXPECT_EQ(seen, ids_of(contacts));
}

TEST_F(List, APagePastTheEndIsEmpty) {
  given_contacts(3);
  user.list("page=9&page_size=2")
      .then(200)
      .with_member("data", json::array{})
      .with_member("pagination", {{"total", 3}, {"page", 9}, {"page_size", 2}, {"total_pages", 2}});
  user.list("page=1000000000&page_size=200").then(200).with_member("data", json::array{});
}

TEST_F(List, APageHasFiftyContactsByDefaultAndTwoHundredAtMost) {
  given_contacts(205);

  EXPECT_EQ(ids_in(user.list().then(200)).size(), 50U);
  EXPECT_EQ(ids_in(user.list("page_size=200").then(200)).size(), 200U);
  EXPECT_EQ(ids_in(user.list("page_size=1").then(200)).size(), 1U);
  EXPECT_EQ(ids_in(user.list("page=2&page_size=200").then(200)).size(), 5U);
}

TEST_F(List, APageOfLargeContactsHasFewerByCursorAndNoneIsLeftOut) {
  constexpr std::size_t page_bytes_max = (1U << 20U) + 1'024;  // with what isn't contacts
  constexpr std::size_t count = 20;                            // of 76 kB each
  std::vector<Contact> contacts;
  contacts.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    contacts.push_back(user.given_contact(large_patch(large_characters[i % 2])));
  }
  const std::string at = "&at=" + json::value_to<std::string>(contacts.back().data["updated_at"]);
  for (const std::string& of : {std::string{}, at}) {
    std::vector<std::string> seen;
    std::string cursor;
    do {
      const Answer page = user.list("page_size=200&cursor=" + cursor + of)
                              .then(200)
                              .with_member("pagination", {{"page_size", 200}});
      EXPECT_LE(page.body().size(), page_bytes_max);
      for (const std::string& id : ids_in(page)) seen.push_back(id);
      cursor = next_cursor(page);
    } while (!cursor.empty());
    EXPECT_EQ(seen, ids_of(contacts));
  }
  EXPECT_EQ(ids_in(user.list("page_size=200").then(200)), ids_of(contacts));
}

TEST_F(List, PagingParametersOutOfRangeAre400AndTheDetailsSayWhich) {
  for (const std::string query : {"page=0", "page=-1", "page=x", "page=1.5",
                                  "page=", "page=99999999999999999999", "page=%201", "page"}) {
    user.list(query)
        .then(400)
        .with_error("Invalid pagination parameters")
        .with_field_error("page", "Expected a whole number from 1 to 1000000000");
  }
  for (const std::string query : {"page_size=0", "page_size=201", "page_size=-5", "page_size=ten",
                                  "page_size=", "page_size=1e2", "page=1&page_size=0"}) {
    user.list(query)
        .then(400)
        .with_error("Invalid pagination parameters")
        .with_field_error("page_size", "Expected a whole number from 1 to 200");
  }
  user.list("cursor=&page=1")
      .then(400)
      .with_error("Invalid pagination parameters")
      .with_field_error("page", "Expected either page or cursor, not both");
}

TEST_F(List, APieceOfTheQueryThatIsEmptyIsNoParameter) {
  for (const std::string query : {"page=1&", "&page=1", "page=1&&page_size=2", "&"}) {
    user.list(query).then(200);
  }
  user.list("=1").then(400);
}

TEST_F(List, OtherParametersThatAreWrongAre400WithTheirName) {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"sort=name", "sort"},
      {"Page=1", "Page"},
      {"page%5B%5D=1", "page[]"},
      {"status=gone", "status"},
      {"status=", "status"},
      {"status=active,", "status"},
      {"status=active,gone", "status"},
      {"status=Active", "status"},
      {"email=nobody", "email"},
      {"email=", "email"},
      {"updated_from=yesterday", "updated_from"},
      {"updated_from=2025-13-01T00:00:00Z", "updated_from"},
      {"updated_from=2025-02-30T00:00:00Z", "updated_from"},
      {"updated_from=2025-07-15T25:00:00Z", "updated_from"},
      {"updated_from=2025-07-15T10:30:00", "updated_from"},
      {"updated_from=1752575400", "updated_from"},
      {"updated_to=", "updated_to"},
      {"updated_to=2025-07-15T10:30:00.Z", "updated_to"},
      {"cursor=nonsense", "cursor"},
      {"cursor=%00", "cursor"},
      {"cursor=01ffffffffffffffffffffffffffffffff", "cursor"},
      {"tag=a%00b", "tag"},
      {"status=active&status=inactive", "status"},
      {"tag=a&tag=b", "tag"},
      {"=x", "''"},
      {"tag=%ff", "tag"},
      {"tag=%ed%a0%80", "tag"},
      {"%ff=1", "isn't UTF-8"},
  };
  for (const auto& [query, name] : rows) user.list(query).then(400).with_error_naming(name);
}

TEST_F(List, TextThatIsNoQueryIs400) {
  for (const std::string query : {"page=%", "page=%4", "page=%zz"}) user.list(query).then(400);
}

TEST_F(List, ByStatus) {
  const Contact active = user.given_contact();
  const Contact inactive = user.given_contact(R"({"status": "inactive"})");
  using Ids = std::vector<std::string>;

  EXPECT_EQ(ids_in(user.list("status=active").then(200)), (Ids{active.id}));
  EXPECT_EQ(ids_in(user.list("status=inactive").then(200)), (Ids{inactive.id}));
  EXPECT_EQ(ids_in(user.list("status=active,inactive").then(200)), (Ids{active.id, inactive.id}));
  EXPECT_EQ(ids_in(user.list("status=inactive%2Cactive").then(200)), (Ids{active.id, inactive.id}));
  user.given_patched(active.id, R"({"status": "inactive"})");
  EXPECT_EQ(ids_in(user.list("status=active").then(200)), Ids{});
  EXPECT_EQ(ids_in(user.list("status=inactive").then(200)), (Ids{inactive.id, active.id}));
}

TEST_F(List, ByEmailWhateverTheCase) {
  const Contact ann = user.given_contact(R"({"email": "ann+x@example.com"})");
  user.given_contact(R"({"email": "bob@example.com"})");
  using Ids = std::vector<std::string>;

  EXPECT_EQ(ids_in(user.list("email=ANN%2BX@Example.com").then(200)), (Ids{ann.id}));
  EXPECT_EQ(ids_in(user.list("email=nobody@example.com").then(200)), Ids{});
  user.list("email=ann%2Bx@example.com")
      .with_member("pagination",
                   {{"total", 1}, {"page", 1}, {"page_size", 50}, {"total_pages", 1}});
  EXPECT_EQ(ids_in(user.list("email=ann%2Bx@example.com&status=inactive").then(200)), Ids{});
  EXPECT_EQ(ids_in(user.list("email=ann%2Bx@example.com&page=2").then(200)), Ids{});
}

TEST_F(List, ByTagExactly) {
  using Ids = std::vector<std::string>;
  for (const std::string tag : {"vip", "v i p", "vip/50%", "größe", "a,b", "&=?#+", "\x01", "👍"}) {
    const Contact tagged = user.given_contact(
        json::serialize(json::object{{"tags", json::array{"other", json::string{tag}}}}));
    EXPECT_EQ(ids_in(user.list("tag=" + encoded(tag)).then(200)), (Ids{tagged.id})) << tag;
  }
  EXPECT_EQ(ids_in(user.list("tag=VIP").then(200)), Ids{});
  EXPECT_EQ(ids_in(user.list("tag=vi").then(200)), Ids{});
  EXPECT_EQ(ids_in(user.list("tag=other").then(200)).size(), 8U);
}

TEST_F(List, ByTagFollowsChanges) {
  using Ids = std::vector<std::string>;
  const Contact ann = user.given_contact(R"({"tags": ["vip", "vip", "old"]})");
  EXPECT_EQ(ids_in(user.list("tag=vip").then(200)), (Ids{ann.id}));
  user.given_patched(ann.id, R"({"tags": ["new"]})");

  EXPECT_EQ(ids_in(user.list("tag=vip").then(200)), Ids{});
  EXPECT_EQ(ids_in(user.list("tag=old").then(200)), Ids{});
  EXPECT_EQ(ids_in(user.list("tag=new").then(200)), (Ids{ann.id}));
}

TEST_F(List, ByTimeOfUpdateWithBothEndsIncluded) {
  const auto contacts = given_contacts(20);
  const auto time_of = [](const Contact& contact) {
    return json::value_to<std::string>(contact.data.at("updated_at"));
  };
  const std::string from = time_of(contacts[5]);
  const std::string to = time_of(contacts[12]);
  std::vector<std::string> expected;
  for (const Contact& contact : contacts) {
    if (time_of(contact) >= from && time_of(contact) <= to) expected.push_back(contact.id);
  }
  const std::string range = "updated_from=" + from + "&updated_to=" + to;
  EXPECT_EQ(ids_in(user.list(range).then(200)), expected);
  EXPECT_EQ(user.list(range).json().at("pagination").at("total"), expected.size());
  EXPECT_EQ(ids_in(user.list("updated_from=" + to + "&updated_to=" + from)).empty(), from != to);
}

TEST_F(List, TimesMayBeWrittenInTheWaysOfIso8601) {
  const auto contacts = given_contacts(2);
  for (const std::string from : {"2020-01-01", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00.5Z",
                                 "2020-01-01T02:00:00%2B02:00", "2020-01-01T00:00:00.123456Z",
                                 "2020-01-01t00:00:00z", "1960-01-01", "0001-01-01T00:00:00Z"}) {
    EXPECT_EQ(ids_in(user.list("updated_from=" + from).then(200)), ids_of(contacts)) << from;
    EXPECT_TRUE(ids_in(user.list("updated_to=" + from).then(200)).empty()) << from;
  }
}

TEST_F(List, FiltersHoldTogether) {
  using Ids = std::vector<std::string>;
  user.given_contact(R"({"tags": ["vip"]})");
  const Contact both = user.given_contact(R"({"tags": ["vip"], "status": "inactive"})");
  user.given_contact(R"({"status": "inactive"})");

  EXPECT_EQ(ids_in(user.list("tag=vip&status=inactive").then(200)), (Ids{both.id}));
  EXPECT_EQ(ids_in(user.list("tag=vip&status=inactive&updated_to=2020-01-01").then(200)), Ids{});
}

TEST_F(List, ACursorWalksAllContactsOnce) {
  const auto contacts = given_contacts(11);

  std::vector<std::string> seen;
  std::string cursor;
  do {
    const Answer page = user.list("page_size=4&cursor=" + cursor).then(200);
    page.with_member("pagination", {{"page_size", 4}});
    for (const std::string& id : ids_in(page)) seen.push_back(id);
    cursor = next_cursor(page);
  } while (!cursor.empty());
  EXPECT_EQ(seen, ids_of(contacts));
}

// More of them than are looked for one by one.
TEST_F(List, ACursorWalksAllContactsWithATagThatIsOnMany) {
  std::vector<std::string> tagged;
  for (int i = 0; i < 1'050; ++i) {
    const bool other = i % 35 == 0;
    const Contact contact = user.given_contact(other ? R"({"tags":["b"]})" : R"({"tags":["a"]})");
    if (!other) tagged.push_back(contact.id);
  }
  user.given_patched(tagged[0], R"({"tags":["b"]})");
  user.given_patched(tagged[1], R"({"company":"A"})");
  std::rotate(tagged.begin(), tagged.begin() + 2, tagged.end());
  tagged.erase(tagged.end() - 2);

  std::vector<std::string> seen;
  std::string cursor;
  do {
    const Answer page = user.list("tag=a&page_size=200&cursor=" + cursor).then(200);
    for (const std::string& id : ids_in(page)) seen.push_back(id);
    cursor = next_cursor(page);
  } while (!cursor.empty());
  EXPECT_EQ(seen, tagged);
  EXPECT_EQ(user.list("tag=a&page=6&page_size=200").json().at("pagination").at("total"),
            tagged.size());
}

// It would leave out what is before a place of another list, or of none.
TEST_F(List, RefusesACursorThatIsNotOneOfTheOrganizationsList) {
  given_contacts(2);
  ApiUser stranger = given_user(shared_server());
  stranger.given_contact();
  const std::string cursor = next_cursor(user.list("page_size=1").then(200));
  user.list("cursor=" + cursor).then(200);
  stranger.list("cursor=" + cursor).then(400).with_error_naming("'cursor'");
  for (std::size_t i = 0; i < cursor.size(); ++i) {
    std::string changed = cursor;
    changed[i] = changed[i] == '0' ? '1' : '0';
    user.list("cursor=" + changed).then(400).with_error_naming("'cursor'");
  }
}

TEST_F(List, ANumberedPageGivesACursorForWhatFollows) {
  const auto contacts = given_contacts(5);
  const Answer first = user.list("page_size=3").then(200);

  const Answer rest = user.list("page_size=3&cursor=" + next_cursor(first)).then(200);
  EXPECT_EQ(ids_in(rest), (std::vector<std::string>{contacts[3].id, contacts[4].id}));
  rest.with_member("next_cursor", nullptr);
}

TEST_F(List, TheLinkHeaderLeadsThroughAllPages) {
  for (int i = 0; i < 7; ++i) user.given_contact(R"({"tags": ["a b&c"]})");

  std::size_t seen = 0;
  std::string target = "/api/v1/contacts?page_size=3&tag=a%20b%26c&status=active";
  while (!target.empty()) {
    const Answer page = user.send("GET", target).then(200);
    seen += ids_in(page).size();
    const std::string link = page.response().header("Link").value_or("");
    target.clear();
    if (link.empty()) break;
    ASSERT_TRUE(link.starts_with("<") && link.ends_with(R"(>; rel="next")")) << link;
    target = link.substr(1, link.find('>') - 1);
  }
  EXPECT_EQ(seen, 7U);
}

TEST_F(List, ACursorKeepsItsFilters) {
  for (int i = 0; i < 10; ++i) {
    user.given_contact(i % 2 == 0 ? R"({"tags": ["even"]})" : R"({"status": "inactive"})");
  }
  for (const std::string filter : {"&tag=even", "&status=inactive"}) {
    std::set<std::string> seen;
    std::string cursor;
    do {
      const Answer page = user.list("page_size=2&cursor=" + cursor + filter).then(200);
      for (const std::string& id : ids_in(page)) EXPECT_TRUE(seen.insert(id).second);
      cursor = next_cursor(page);
    } while (!cursor.empty());
    EXPECT_EQ(seen.size(), 5U);
  }
}

// What a reader who follows a cursor to its end has seen.
struct Synchronized {
  std::map<std::string, json::object> contacts;

  void take(const Answer& page) {
    const json::value body = page.json();
    for (const json::value& contact : body.at("data").as_array()) {
      contacts[json::value_to<std::string>(contact.at("id"))] = contact.as_object();
    }
  }
};

TEST_F(List, ACursorMissesNoChangeMadeWhileItWalks) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  RecordProperty("seed", std::to_string(seed));
  std::mt19937 random{seed};
  std::map<std::string, json::object> truth;
  for (const Contact& contact : given_contacts(60)) truth[contact.id] = contact.data;
  std::set<std::string> deleted;
  const auto any_id = [&] {
    return std::next(truth.begin(), static_cast<std::ptrdiff_t>(random() % truth.size()))->first;
  };

  Synchronized reader;
  std::string cursor;
  int pages = 0;
  do {
    const Answer page = user.list("page_size=5&cursor=" + cursor).then(200);
    reader.take(page);
    cursor = next_cursor(page);
    // Fewer changes than a page has contacts, so that the walk comes to its end.
    const std::string id = any_id();
    const std::string body = json::serialize(json::object{{"company", std::to_string(pages)}});
    truth[id] = user.given_patched(id, body).data;
    if (pages % 4 == 0) {
      const Contact made = user.given_contact(R"({"first_name": "late"})");
      truth[made.id] = made.data;
    }
    if (pages % 7 == 0) {
      const std::string gone = any_id();
      user.remove(gone).then(200);
      truth.erase(gone);
      deleted.insert(gone);
    }
    ASSERT_LT(++pages, 200);
  } while (!cursor.empty());
  // The changes made after the last page were read: from where it ended, by time.
  for (const auto& [id, contact] : truth) {
    if (reader.contacts.contains(id) && reader.contacts.at(id) == contact) continue;
    const std::string at = json::value_to<std::string>(contact.at("updated_at"));
    reader.take(user.list("page_size=200&updated_from=" + at).then(200));
  }
  for (const std::string& id : deleted) reader.contacts.erase(id);
  EXPECT_EQ(reader.contacts, truth);
}

TEST_F(List, ACursorOfTheEndSeesWhatComesLater) {
  given_contacts(4);
  const Answer first = user.list("page_size=3").then(200);
  const std::string cursor = next_cursor(first);
  const std::string moved = ids_in(first).front();
  user.given_patched(moved, R"({"company": "Acme Inc"})");

  const auto seen = ids_in(user.list("page_size=3&cursor=" + cursor).then(200));
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen.back(), moved);
}

TEST_F(List, UpdatedFromOfTheLastSyncMissesNothing) {
  const auto contacts = given_contacts(5);
  const std::string last = json::value_to<std::string>(contacts.back().data.at("updated_at"));
  const Contact changed = user.given_patched(contacts[1].id, R"({"company": "Acme Inc"})");

  const auto seen = ids_in(user.list("updated_from=" + last).then(200));
  EXPECT_EQ(seen.back(), changed.id);
  EXPECT_NE(std::find(seen.begin(), seen.end(), contacts.back().id), seen.end());
}

}  // namespace
}  // namespace contactd::test
