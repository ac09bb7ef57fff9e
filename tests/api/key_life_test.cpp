#include <boost/json.hpp>
#include <chrono>

#include "domain/instant.hpp"
#include "tests/support/api_fixture.hpp"

// How API keys end: by a time, by a rotation, by a revocation; and when they were last used.
namespace contactd::test {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

// How long a key is made for that is to end in the test, and what it may take to see that.
constexpr milliseconds short_life{700};
constexpr milliseconds end_wait_max{20'000};

std::string from_now(milliseconds life) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return domain::to_iso8601({std::chrono::duration_cast<milliseconds>(now + life).count()});
}

class KeyLife : public ApiTest {
 protected:
  Answer make(const json::object& more) {
    json::object body{
        {"organization", user.organization()}, {"name", "ci"}, {"scopes", {{"contacts", "read"}}}};
    for (const auto& [name, value] : more) body[name] = value;
    return admin.send("POST", "/admin/v1/keys", {}, json::serialize(body));
  }
  static std::string id_in(const Answer& made) {
    return json::value_to<std::string>(made.data().at("id"));
  }
  static ApiUser user_of(const Answer& made) {
    return {shared_server().port(), json::value_to<std::string>(made.data().at("key"))};
  }
  Answer rotate(const std::string& id, const std::optional<std::string>& body = std::nullopt) {
    return admin.send("POST", "/admin/v1/keys/" + id + "/rotate", {}, body);
  }
  json::object listed(const std::string& id) {
    const json::value all =
        admin.send("GET", "/admin/v1/keys?organization=" + user.organization()).then(200).json();
    for (const json::value& key : all.at("data").as_array()) {
      if (key.at("id") == text(id)) return key.as_object();
    }
    ADD_FAILURE() << "no key " << id;
    return {};
  }

  ApiUser admin = admin_of(shared_server());
};

// Until the key is refused; that it is, is the expectation.
void expect_to_end(ApiUser& holder) {
  const auto until = std::chrono::steady_clock::now() + end_wait_max;
  unsigned status = 200;
  while (status == 200 && std::chrono::steady_clock::now() < until) {
    status = holder.list().status();
  }
  EXPECT_EQ(status, 401U);
}

TEST_F(KeyLife, AKeyHoldsUntilItExpires) {
  const std::string end = from_now(short_life);
  const Answer made = make({{"expires_at", end}}).then(201).with_field("expires_at", end);
  ApiUser holder = user_of(made);
  expect_to_end(holder);
  EXPECT_GE(from_now(milliseconds{0}), end);
  holder.list().then(401).with_error("Invalid or revoked API key");
  EXPECT_EQ(listed(id_in(made)).at("expires_at"), text(end));
  EXPECT_EQ(listed(id_in(made)).at("revoked_at"), nullptr);
  rotate(id_in(made)).then(404);
}

TEST_F(KeyLife, AKeyThatEndsLaterHolds) {
  const Answer made = make({{"expires_at", "2999-12-31T23:59:59Z"}}).then(201);
  made.with_field("expires_at", text("2999-12-31T23:59:59.000Z"));
  user_of(made).list().then(200);
  EXPECT_FALSE(make({{"expires_at", nullptr}}).then(201).data().contains("expires_at"));
}

TEST_F(KeyLife, AnEndMustBeATimeToCome) {
  for (const json::value& end :
       {json::value{"2020-01-01T00:00:00Z"}, json::value{"tomorrow"}, json::value{1},
        json::value{true}, text(from_now(milliseconds{0}))}) {
    make({{"expires_at", end}})
        .then(400)
        .with_field_error("expires_at",
                          "Expected a time to come, such as 2030-01-31T00:00:00Z, or null");
  }
}

TEST_F(KeyLife, ARotatedKeyHoldsBesideItsSuccessorForAGracePeriod) {
  const Answer made = make({}).then(201);
  ApiUser old = user_of(made);
  const Answer next = rotate(id_in(made), R"({"grace_seconds": 600})").then(201);
  next.with_field("organization", user.organization())
      .with_field("name", text("ci"))
      .with_field("scopes", {{"contacts", "read"}})
      .with_field("replaces", id_in(made))
      .with_header("Cache-Control", "no-store");
  ApiUser successor = user_of(next);
  old.list().then(200);
  successor.list().then(200);
  successor.create("{}").then(403);
  EXPECT_TRUE(listed(id_in(made)).at("expires_at").is_string());
  EXPECT_EQ(listed(id_in(next)).at("replaces"), text(id_in(made)));
  EXPECT_EQ(listed(id_in(next)).at("expires_at"), nullptr);

  const Answer last = rotate(id_in(next), R"({"grace_seconds": 0})").then(201);
  successor.list().then(401);
  old.list().then(200);
  user_of(last).list().then(200);
}

TEST_F(KeyLife, ARotationWithoutABodyGivesADaysGrace) {
  const Answer made = make({}).then(201);
  const std::string before = from_now(std::chrono::hours{23});
  rotate(id_in(made)).then(201);
  const std::string end = json::value_to<std::string>(listed(id_in(made)).at("expires_at"));
  EXPECT_LT(before, end);
  EXPECT_LT(end, from_now(std::chrono::hours{25}));
}

TEST_F(KeyLife, ARotationNeverLengthensAKeysLife) {
  const std::string end = from_now(std::chrono::minutes{5});
  const Answer made = make({{"expires_at", end}}).then(201);
  const std::string later = "2999-01-01T00:00:00.000Z";
  rotate(id_in(made), R"({"expires_at": ")" + later + R"("})")
      .then(201)
      .with_field("expires_at", later);
  EXPECT_EQ(listed(id_in(made)).at("expires_at"), text(end));
}

TEST_F(KeyLife, ARotationIsRefusedForAKeyThatEndedAndForABadRequest) {
  rotate("nosuchkey0000000").then(404).with_error("API key not found");
  const Answer made = make({}).then(201);
  rotate(id_in(made), "{").then(400);
  rotate(id_in(made), "[]").then(400);
  for (const std::string grace : {"-1", "7776001", "1.5", "\"1\"", "null"}) {
    rotate(id_in(made), R"({"grace_seconds": )" + grace + "}").then(400);
  }
  rotate(id_in(made), R"({"name": "x"})")
      .then(400)
      .with_form_error("Unrecognized key(s) in object: 'name'");
  admin.send("POST", "/admin/v1/keys/" + id_in(made) + "/rotate?x=1").then(400);
  user_of(made).list().then(200);
  admin.send("DELETE", "/admin/v1/keys/" + id_in(made)).then(200);
  rotate(id_in(made)).then(404);
}

TEST_F(KeyLife, ARotationsBodyIsJson) {
  const std::string id = id_in(make({}).then(201));
  const std::string path = "/admin/v1/keys/" + id + "/rotate";

  admin.send("POST", path, {{"Content-Type", "text/plain"}}, "{}").then(415);
  EXPECT_TRUE(listed(id).at("expires_at").is_null());
}

TEST_F(KeyLife, RotationsHoldAfterARestart) {
  ServerProcess server;
  ApiUser old = given_user(server);
  const std::string id = old.key().substr(3, 16);
  const Answer next =
      admin_of(server)
          .send("POST", "/admin/v1/keys/" + id + "/rotate", {}, R"({"grace_seconds": 0})")
          .then(201);
  ApiUser successor{server.port(), json::value_to<std::string>(next.data().at("key"))};
  EXPECT_EQ(server.stop(), exited(0));
  server.start();
  old.move_to(server.port());
  successor.move_to(server.port());
  old.list().then(401);
  successor.create("{}").then(201);
}

TEST_F(KeyLife, TheListSaysWhenAKeyWasLastUsed) {
  const Answer made = make({}).then(201);
  EXPECT_EQ(listed(id_in(made)).at("last_used_at"), nullptr);
  ApiUser{shared_server().port(), "ck_" + id_in(made) + "_" + std::string(43, 'x')}.list().then(
      401);
  EXPECT_EQ(listed(id_in(made)).at("last_used_at"), nullptr);

  const std::string before = from_now(milliseconds{-1});
  user_of(made).list().then(200);
  const json::object key = listed(id_in(made));
  EXPECT_LT(before, json::value_to<std::string>(key.at("last_used_at")));
}

TEST_F(KeyLife, ARevocationHoldsOnConnectionsThatAreOpen) {
  const Answer made = make({}).then(201);
  ApiUser holder = user_of(made);
  holder.list().then(200);  // keeps its connection
  admin.send("DELETE", "/admin/v1/keys/" + id_in(made)).then(200);
  holder.list().then(401);
}

TEST_F(KeyLife, AKeyHasMoreThan192RandomBitsAndAPrefixThatFindsIt) {
  const std::string key = user.key();
  EXPECT_TRUE(key.starts_with("ck_"));
  const std::string id = key.substr(3, 16);
  EXPECT_EQ(listed(id).at("organization"), text(user.organization()));
  constexpr double bits_a_character = 6;  // of [A-Za-z0-9_-]
  const std::string secret = key.substr(key.rfind('_', 3 + 16) + 1);
  EXPECT_GE(static_cast<double>(secret.size()) * bits_a_character, 192.0);
}

}  // namespace
}  // namespace contactd::test
