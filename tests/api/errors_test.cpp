#include <boost/json.hpp>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/api_fixture.hpp"

// The contract's errors: which one a request gets, and how it reads.
namespace contactd::test {
namespace {

namespace json = boost::json;

class Errors : public ApiTest {};

TEST_F(Errors, WithoutAKeyIs401) {
  ApiUser nobody{shared_server().port(), ""};
  const Contact ann = user.given_contact();
  for (const Answer& answer :
       {nobody.patch(ann.id, "{}"), nobody.read(ann.id), nobody.create("{}"), nobody.remove(ann.id),
        nobody.list(), nobody.read(ann.id, {{"X-API-KEY", ""}})}) {
    answer.then(401).with_error("Missing X-API-KEY header").with_header("WWW-Authenticate");
  }
}

TEST_F(Errors, WithAKeyThatIsNoneIs401) {
  const Contact ann = user.given_contact();
  std::string almost = user.key();
  almost.back() = almost.back() == 'A' ? 'B' : 'A';
  for (const std::string& key :
       {std::string{"nonsense"}, almost, user.key() + "x", user.key().substr(1),
        shared_server().admin_key(), std::string(4000, 'k')}) {
    ApiUser nobody{shared_server().port(), key};
    nobody.patch(ann.id, "{}")
        .then(401)
        .with_error("Invalid or revoked API key")
        .with_header("WWW-Authenticate");
    nobody.read(ann.id).then(401).with_error("Invalid or revoked API key");
  }
}

TEST_F(Errors, AKeyThatMayOnlyReadGets403ForEveryWrite) {
  const Contact ann = user.given_contact();
  ApiUser reader = given_user(shared_server(), "read", user.organization());

  for (const Answer& answer :
       {reader.patch(ann.id, "{}"), reader.create("{}"), reader.remove(ann.id)}) {
    answer.then(403)
        .with_error("insufficient_scope")
        .with_header("Content-Type", "application/json");
    EXPECT_NE(answer.body().find("contacts:write"), std::string::npos) << answer.body();
  }
  reader.read(ann.id).then(200);
  reader.list().then(200);
}

TEST_F(Errors, AKeyWithoutTheScopeGets403ForEverything) {
  const Contact ann = user.given_contact();
  ApiUser stranger = given_user(shared_server(), "none", user.organization());

  for (const Answer& answer :
       {stranger.read(ann.id), stranger.list(), stranger.patch(ann.id, "{}"), stranger.create("{}"),
        stranger.remove(ann.id), stranger.send("HEAD", contact_path(ann.id))}) {
    answer.then(403);
  }
  stranger.read(ann.id).with_error("insufficient_scope");
}

TEST_F(Errors, WriteImpliesRead) {
  const Contact ann = user.given_contact();
  user.read(ann.id).then(200);
  user.list().then(200);
}

// Each row puts one thing right, so each shows which of two errors comes first.
TEST_F(Errors, ComeInOneOrder) {
  const Contact holder = user.given_contact(R"({"email": "taken@example.com"})");
  const Contact ann = user.given_contact();
  ApiUser reader = given_user(shared_server(), "read", user.organization());
  const std::string taken = R"({"email": "taken@example.com"})";
  const std::string free = R"({"email": "free@example.com"})";
  const std::string unknown = contact_path("AbCdEfGhIjKlMnOpQrSt");

  struct Row {
    unsigned status;
    std::string key;
    std::string target;
    std::string content_type;
    std::string body;
    std::string if_match;
  };
  const std::string write = user.key();
  const std::vector<Row> rows = {
      {401, "", unknown + "?x=1", "text/plain", "{", "stale"},
      {401, "wrong", unknown + "?x=1", "text/plain", "{", "stale"},
      {403, reader.key(), unknown + "?x=1", "text/plain", "{", "stale"},
      {415, write, unknown + "?x=1", "text/plain", "{", "stale"},
      {400, write, unknown + "?x=1", "application/json", "{", "stale"},
      {400, write, unknown, "application/json", "{", "stale"},
      {400, write, unknown, "application/json", taken, "stale"},
      {404, write, unknown, "application/json", taken, "\"9\""},
      {412, write, contact_path(ann.id), "application/json", taken, "\"9\""},
      {409, write, contact_path(ann.id), "application/json", taken, "\"1\""},
      {200, write, contact_path(ann.id), "application/json", free, "\"1\""},
  };
  for (const Row& row : rows) {
    user.send("PATCH", row.target,
              {{"X-API-KEY", row.key},
               {"Content-Type", row.content_type},
               {"If-Match", row.if_match}},
              row.body)
        .then(row.status);
  }
}

TEST_F(Errors, AreJsonWithASentenceForAPerson) {
  const Contact ann = user.given_contact(R"({"email": "ann@example.com"})");
  ApiUser reader = given_user(shared_server(), "read", user.organization());
  const std::vector<Answer> answers = {
      user.patch(ann.id, "{"),
      user.patch(ann.id, R"({"status": 1})"),
      ApiUser{shared_server().port(), ""}.read(ann.id),
      reader.patch(ann.id, "{}"),
      user.read("nobody"),
      user.send("PUT", contact_path(ann.id), {}, "{}"),
      user.create(R"({"email": "ann@example.com"})"),
      user.patch(ann.id, "{}", {{"If-Match", "\"9\""}}),
      user.patch(ann.id, "{}", {{"Content-Type", "text/plain"}}),
      user.send("GET", "/nowhere"),
  };
  for (const Answer& answer : answers) {
    EXPECT_GE(answer.status(), 400U);
    answer.with_header("Content-Type", "application/json");
    const json::value body = answer.json();
    ASSERT_TRUE(body.is_object());
    ASSERT_TRUE(body.at("error").is_string());
    EXPECT_FALSE(body.at("error").as_string().empty());
    EXPECT_EQ(body.as_object().begin()->key(), "error");
  }
}

TEST_F(Errors, OfResourcesThatAreNotThereAre404) {
  for (const std::string target :
       {"/", "/api", "/api/v1", "/api/v1/contact", "/api/v2/contacts", "/api/v1/contacts/",
        "/api/v1/contacts/AbCdEfGhIjKlMnOpQrSt/x", "//api/v1/contacts", "/admin/v1", "/favicon.ico",
        "/api/v1/../v1/contacts"}) {
    user.send("GET", target).then(404);
  }
}

}  // namespace
}  // namespace contactd::test
