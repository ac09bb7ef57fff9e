#include <boost/json.hpp>
#include <map>
#include <set>
#include <vector>

#include "tests/support/api_fixture.hpp"

// What is another organization's looks exactly like what never was: every operation of the OpenAPI
// document is tried with another organization's ids, cursors and idempotency keys. A path or query
// parameter that this test doesn't know is a failure: teach it here.
namespace contactd::test {
namespace {

namespace json = boost::json;

struct Operation {
  std::string method;
  std::string path;
  json::object description;
};

// Those of organizations; what the administrator asks for isn't theirs, what everybody may ask for
// has nothing of theirs.
std::vector<Operation> operations_of_organizations() {
  std::vector<Operation> all;
  for (const auto& [path, item] : openapi().json().at("paths").as_object()) {
    if (!path.starts_with("/api/")) continue;
    const json::object whole = resolve_references(openapi().json(), item).as_object();
    for (const auto& [name, operation] : whole) {
      if (name == "parameters") continue;
      json::object description = operation.as_object();
      json::array parameters;
      for (const json::object* from : {&whole, &std::as_const(description)}) {
        const json::value* some = from->if_contains("parameters");
        if (some == nullptr) continue;
        for (const json::value& one : some->as_array()) parameters.push_back(one);
      }
      description["parameters"] = parameters;
      std::string method{name};
      for (char& c : method) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      all.push_back({method, std::string{path}, description});
    }
  }
  return all;
}

// The names of the operation's parameters of that kind: path, query or header.
std::set<std::string> parameters_of(const Operation& operation, std::string_view in) {
  std::set<std::string> names;
  for (const json::value& one : operation.description.at("parameters").as_array()) {
    if (one.at("in") == text(in)) names.insert(json::value_to<std::string>(one.at("name")));
  }
  return names;
}

std::string filled(std::string path, const std::map<std::string, std::string>& values) {
  for (const auto& [name, value] : values) {
    const std::string place = "{" + name + "}";
    if (const std::size_t at = path.find(place); at != std::string::npos) {
      path.replace(at, place.size(), value);
    }
  }
  return path;
}

// A body that the operation takes: an example of the document's.
std::optional<std::string> body_for(const Operation& operation) {
  const json::value* body = operation.description.if_contains("requestBody");
  if (body == nullptr) return std::nullopt;
  const json::value& content = body->at("content");
  const json::object& media = content.as_object().begin()->value().as_object();
  if (const json::value* one = media.if_contains("example")) return json::serialize(*one);
  if (const json::value* many = media.if_contains("examples")) {
    return json::serialize(many->as_object().begin()->value().at("value"));
  }
  return "{}";
}

std::vector<std::string> header_names(const Answer& answer) {
  std::vector<std::string> all;
  for (const auto& [name, value] : answer.response().headers) all.push_back(name);
  return all;
}

class Tenancy : public ApiTest {
 protected:
  // Of each path parameter, what was never and what is the other organization's.
  std::map<std::string, std::string> unknown = {{"contactId", "AbCdEfGhIjKlMnOpQrSt"},
                                                {"webhookId", "AbCdEfGhIjKlMnOpQrSt"},
                                                {"deliveryId", "00000000000004d2"}};
  std::map<std::string, std::string> theirs_by_parameter() {
    return {{"contactId", theirs.id},
            {"webhookId", hook_of(other)},
            {"deliveryId", "0000000000000001"}};
  }
  // One that nothing is sent to.
  static std::string hook_of(ApiUser& holder) {
    return json::value_to<std::string>(
        holder
            .send("POST", "/api/v1/webhooks", {},
                  R"({"url": "https://example.com/hook", "enabled": false})")
            .then(201)
            .data()
            .at("id"));
  }

  ApiUser other = given_user(shared_server());
  Contact theirs = other.given_contact(
      R"({"email": "them@example.com", "tags": ["vip"], "first_name": "Theodora-of-theirs"})");
};

TEST_F(Tenancy, EveryOperationOnAnothersIdAnswersByteForByteAsOnAnUnknownOne) {
  std::size_t tried = 0;
  const auto theirs_by_name = theirs_by_parameter();
  for (const Operation& operation : operations_of_organizations()) {
    const auto names = parameters_of(operation, "path");
    if (names.empty() || operation.method == "OPTIONS") continue;
    SCOPED_TRACE(operation.method + ' ' + operation.path);
    for (const std::string& name : names) ASSERT_TRUE(unknown.contains(name)) << name;
    const auto body = body_for(operation);
    const std::string no_such = filled(operation.path, unknown);
    const std::string of_theirs = filled(operation.path, theirs_by_name);
    for (const Headers& headers :
         {Headers{}, Headers{{"If-Match", "\"9\""}}, Headers{{"If-None-Match", "*"}},
          Headers{{"If-Match", theirs.etag}}}) {
      ++tried;
      const Answer a = user.send(operation.method, no_such, headers, body);
      const Answer b = user.send(operation.method, of_theirs, headers, body);
      EXPECT_EQ(b.status(), a.status());
      // A condition that a change doesn't take is refused before anything is looked up; those of
      // webhooks take none.
      const bool untaken = !headers.empty() && (headers.front().first == "If-None-Match" ||
                                                operation.path.starts_with("/api/v1/webhooks/"));
      EXPECT_TRUE(b.status() == 404U || (untaken && b.status() == 400U)) << b.status();
      EXPECT_EQ(b.body(), a.body());
      EXPECT_EQ(header_names(b), header_names(a));
    }
  }
  EXPECT_GE(tried, 5U * 4U);
  other.read(theirs.id).then(200).with_header("ETag", theirs.etag);
}

// Cursors that the other organization was given, by the query parameter that takes them.
std::map<std::string, std::vector<std::string>> cursors_of(ApiUser& holder, const Contact& one) {
  std::map<std::string, std::vector<std::string>> all;
  for (const std::string& target : {std::string{"/api/v1/contacts?cursor=&page_size=1"},
                                    contact_path(one.id) + "/history?limit=1"}) {
    const json::value page = holder.send("GET", target).then(200).json();
    const json::value* next = page.as_object().if_contains("next_cursor");
    if (next == nullptr) next = page.at("pagination").as_object().if_contains("next_cursor");
    if (next != nullptr && next->is_string()) {
      all["cursor"].push_back(json::value_to<std::string>(*next));
    }
  }
  const json::value events = holder.send("GET", "/api/v1/events?limit=1").then(200).json();
  all["after"].push_back(json::value_to<std::string>(events.at("next_cursor")));
  return all;
}

// Query parameters that hold a position of the organization's, and those that hold nothing of it.
const std::set<std::string> plain_parameters = {
    "page", "page_size", "status",  "email", "tag",  "updated_from", "updated_to",
    "at",   "limit",     "version", "wait",  "type", "contact",      "field"};

TEST_F(Tenancy, AnothersCursorsShowNothingOfTheirs) {
  other.given_contact(R"({"first_name": "Theodora-of-theirs"})");
  other.given_patched(theirs.id, R"({"company": "Theodora-of-theirs"})");
  const auto cursors = cursors_of(other, theirs);
  ASSERT_TRUE(cursors.contains("cursor"));
  const Contact mine = user.given_contact();
  const std::string my_hook = hook_of(user);
  std::size_t tried = 0;
  for (const Operation& operation : operations_of_organizations()) {
    if (operation.method != "GET") continue;
    SCOPED_TRACE(operation.path);
    const std::string path =
        filled(operation.path, {{"contactId", mine.id}, {"webhookId", my_hook}});
    for (const std::string& name : parameters_of(operation, "query")) {
      if (plain_parameters.contains(name)) continue;
      ASSERT_TRUE(cursors.contains(name)) << "a parameter that this test doesn't know: " << name;
      for (const std::string& cursor : cursors.at(name)) {
        ++tried;
        const Answer answer = user.send("GET", path + '?' + name + '=' + cursor);
        EXPECT_EQ(answer.body().find("of-theirs"), std::string::npos) << answer.body();
        EXPECT_EQ(answer.body().find(theirs.id), std::string::npos) << answer.body();
      }
    }
  }
  EXPECT_GE(tried, 2U);
}

TEST_F(Tenancy, EveryQueryForTheirsFindsNothing) {
  for (const std::string query : {"", "email=them@example.com", "tag=vip", "status=active,inactive",
                                  "cursor=", "updated_from=2020-01-01T00:00:00Z"}) {
    user.list(query).then(200).with_member("data", json::array{});
  }
}

TEST_F(Tenancy, TheFeedHasNoEventsOfTheirs) {
  for (const std::string& query : {std::string{}, "?contact=" + theirs.id}) {
    user.send("GET", "/api/v1/events" + query).then(200).with_member("data", json::array{});
  }
}

TEST_F(Tenancy, EveryOperationTakesAnothersIdempotencyKeyAsNew) {
  std::size_t tried = 0;
  for (const Operation& operation : operations_of_organizations()) {
    if (!parameters_of(operation, "header").contains("Idempotency-Key")) continue;
    SCOPED_TRACE(operation.method + ' ' + operation.path);
    ++tried;
    const Headers headers = {{"Idempotency-Key", "shared-" + std::to_string(tried)}};
    const auto body = operation.path == "/api/v1/contacts" ? std::optional<std::string>{"{}"}
                                                           : body_for(operation);
    const Contact of_other = other.given_contact();
    const Contact of_user = user.given_contact();
    const Answer first = other.send(
        operation.method, filled(operation.path, {{"contactId", of_other.id}}), headers, body);
    const Answer second = user.send(
        operation.method, filled(operation.path, {{"contactId", of_user.id}}), headers, body);
    EXPECT_EQ(second.status(), first.status());
    second.without_header("Idempotent-Replay");
    EXPECT_EQ(second.body().find(of_other.id), std::string::npos);
    // The same request as the other's, word for word: what they were told isn't told.
    const Answer same =
        user.send(operation.method, filled(operation.path, {{"contactId", of_other.id}}),
                  {{"Idempotency-Key", "again-" + std::to_string(tried)}}, body);
    EXPECT_TRUE(same.status() == 404 || operation.path == "/api/v1/contacts") << same.status();
  }
  EXPECT_GE(tried, 4U);
}

}  // namespace
}  // namespace contactd::test
