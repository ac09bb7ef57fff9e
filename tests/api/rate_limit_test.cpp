#include <boost/json.hpp>

#include "tests/support/api_fixture.hpp"

// The rate limit: a setting, off by default.
namespace contactd::test {
namespace {

// So long that it doesn't end within the test.
ServerSettings three_in_an_hour() { return {{"--rate-limit", "3", "--rate-window-s", "3600"}, {}}; }

TEST(RateLimit, TheRequestPastItIs429) {
  ServerProcess server{three_in_an_hour()};
  ApiUser user = given_user(server);
  const Contact ann = user.given_contact();
  user.read(ann.id).then(200);
  user.list().then(200);

  const Answer refused = user.read(ann.id)
                             .then(429)
                             .with_error("Rate limit exceeded. Try again shortly.")
                             .with_header("Retry-After");
  const int seconds = std::stoi(refused.response().header("Retry-After").value_or("0"));
  EXPECT_GT(seconds, 0);
  EXPECT_LE(seconds, 3600);
}

TEST(RateLimit, IsToldInEveryAnswer) {
  ServerProcess server{three_in_an_hour()};
  ApiUser user = given_user(server);

  const Answer first = user.create("{}").then(201);
  first.with_header("RateLimit-Policy", "\"default\";q=3;w=3600");
  EXPECT_TRUE(first.response().header("RateLimit").value_or("").starts_with("\"default\";r=2;t="));
  EXPECT_TRUE(
      user.list().response().header("RateLimit").value_or("").starts_with("\"default\";r=1;t="));
  user.read("nobody").then(404).with_header("RateLimit");
  user.list().then(429).with_header("RateLimit");
}

TEST(RateLimit, CountsAlsoRefusedRequestsAndAllKeysOfAnAddress) {
  ServerProcess server{three_in_an_hour()};
  ApiUser user = given_user(server);
  ApiUser other = given_user(server);
  ApiUser nobody{server.port(), ""};
  nobody.list().then(401);
  other.list().then(200);
  user.create("{").then(400);

  user.list().then(429);
  other.list().then(429);
  nobody.list().then(429);
}

TEST(RateLimit, HoldsForEveryMethodAndChangesNothing) {
  ServerProcess server{three_in_an_hour()};
  ApiUser user = given_user(server);
  const Contact ann = user.given_contact();
  user.list().then(200);
  user.list().then(200);

  user.patch(ann.id, R"({"company": "A"})").then(429);
  user.remove(ann.id).then(429);
  user.create("{}").then(429);
  user.send("HEAD", contact_path(ann.id)).then(429);
  user.send("HEAD", "/api/v1/contacts").then(429);
  user.send("OPTIONS", contact_path(ann.id)).then(429);
  user.send("POST", contact_path(ann.id) + "/revert", {}, R"({"version": 1})").then(429);
  for (const std::string method : {"GET", "HEAD", "OPTIONS"}) {
    user.send(method, contact_path(ann.id) + "/history").then(429);
    user.send(method, "/api/v1/events").then(429);
  }
  user.send("OPTIONS", contact_path(ann.id) + "/revert").then(429);
  const std::string webhook = "/api/v1/webhooks/x";
  for (const std::string method : {"GET", "HEAD", "OPTIONS"}) {
    for (const std::string path : {"/api/v1/webhooks", "/api/v1/webhooks/x"}) {
      user.send(method, path).then(429);
    }
    user.send(method, webhook + "/deliveries").then(429);
  }
  user.send("POST", "/api/v1/webhooks", {}, "{}").then(429);
  user.send("PATCH", webhook, {}, "{}").then(429);
  user.send("DELETE", webhook).then(429);
  for (const std::string path : {"/rotate-secret", "/deliveries/x/replay"}) {
    user.send("POST", webhook + path).then(429);
    user.send("OPTIONS", webhook + path).then(429);
  }
  user.send("OPTIONS", "/api/v1/contacts").then(429);
  user.read(ann.id).then(429);
}

TEST(RateLimit, DoesNotHoldForTheOperator) {
  ServerProcess server{three_in_an_hour()};
  ApiUser administrator = admin_of(server);
  for (int i = 0; i < 5; ++i) {
    for (const std::string target : {"/healthz", "/readyz", "/metrics", "/admin/v1/keys"}) {
      administrator.send("GET", target).then(200);
    }
  }
}

TEST(RateLimit, IsOffByDefault) {
  ApiUser user = given_user(shared_server());
  for (int i = 0; i < 100; ++i) user.list().then(200).without_header("RateLimit");
}

TEST(RateLimit, EndsWithItsWindow) {
  ServerProcess server{{{"--rate-limit", "1", "--rate-window-s", "1"}, {}}};
  ApiUser user = given_user(server);
  constexpr int tries_max = 1'000'000;  // of a loop that the window's end stops
  user.list().then(200);

  int tries = 0;
  while (user.list().status() == 429 && tries < tries_max) ++tries;
  EXPECT_LT(tries, tries_max);
}

}  // namespace
}  // namespace contactd::test
