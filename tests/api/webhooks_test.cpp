#include <sys/stat.h>

#include <boost/json.hpp>
#include <vector>

#include "domain/organization/webhook.hpp"
#include "tests/support/api_fixture.hpp"

// Webhooks as a resource: made, read, changed, deleted. What they are sent is in
// webhook_delivery_test.cpp.
namespace contactd::test {
namespace {

namespace json = boost::json;

constexpr std::string_view webhooks_path = "/api/v1/webhooks";

class Webhooks : public ApiTest {
 protected:
  Answer make(const std::string& body) { return user.send("POST", webhooks_path, {}, body); }
  // One that nothing is sent to.
  std::string given_webhook(ApiUser& of) {
    const Answer made =
        of.send("POST", webhooks_path, {}, R"({"url": "https://example.com/h", "enabled": false})")
            .then(201);
    return json::value_to<std::string>(made.data().at("id"));
  }
  static std::string encoded(std::string id) {
    if (id.ends_with(' ')) id.replace(id.size() - 1, 1, "%20");
    return id;
  }
  static std::string path_of(const std::string& id) {
    return std::string{webhooks_path} + "/" + id;
  }
};

TEST_F(Webhooks, AreMadeWithASecretThatIsShownOnce) {
  const Answer made = make(
      R"({"url": "https://example.com/h?a=1", "description": "the \"crm\"", "enabled": false,
          "types": ["contactd.contact.deleted.v1", "contactd.contact.deleted.v1"]})");
  made.then(201)
      .with_field("url", "https://example.com/h?a=1")
      .with_field("description", "the \"crm\"")
      .with_field("types", json::array{"contactd.contact.deleted.v1"})
      .with_field("enabled", false)
      .with_field("disabled_reason", nullptr)
      .with_field("secret_rotated_at", nullptr)
      .with_field("unserved_reason", nullptr)
      .with_header("Cache-Control", "no-store");
  const json::object data = made.data();
  const std::string id = json::value_to<std::string>(data.at("id"));
  made.with_header("Location", path_of(id));
  const std::string secret = json::value_to<std::string>(data.at("secret"));
  EXPECT_TRUE(secret.starts_with("whsec_"));

  json::object shown = data;
  shown.erase("secret");
  user.send("GET", path_of(id)).then(200).with_member("data", shown);
  user.send("GET", webhooks_path).then(200).with_member("data", json::array{shown});
  EXPECT_EQ(shared_server().log().find(secret), std::string::npos);
}

TEST_F(Webhooks, HaveAllTypesAndAreEnabledUnlessTheySayOtherwise) {
  const Answer made = make(R"({"url": "https://example.com/h"})").then(201);
  made.with_field("types", json::array{}).with_field("enabled", true).with_field("description", "");
  user.send("DELETE", path_of(json::value_to<std::string>(made.data().at("id")))).then(200);
}

TEST_F(Webhooks, AreChangedMemberByMember) {
  const std::string id = given_webhook(user);
  user.send("PATCH", path_of(id), {}, R"({"description": "new"})")
      .then(200)
      .with_field("description", "new")
      .with_field("url", "https://example.com/h")
      .with_field("enabled", false);
  user.send("PATCH", path_of(id), {}, R"({"types": ["contactd.contact.created.v1"]})")
      .then(200)
      .with_field("types", json::array{"contactd.contact.created.v1"})
      .with_field("description", "new");
  const json::object before = user.send("GET", path_of(id)).then(200).data();
  user.send("PATCH", path_of(id), {}, "{}").then(200).with_member("data", before);
  user.send("PATCH", path_of(id), {}, R"({"description": "new"})")
      .then(200)
      .with_member("data", before);
}

TEST_F(Webhooks, ThatAreDeletedAreGone) {
  const std::string id = given_webhook(user);
  user.send("DELETE", path_of(id)).then(200).with_member("deleted", true).with_member("id", id);
  for (const std::string method : {"GET", "DELETE"}) user.send(method, path_of(id)).then(404);
  user.send("PATCH", path_of(id), {}, R"({"enabled": true})").then(404);
  user.send("POST", path_of(id) + "/rotate-secret").then(404).with_error("Webhook not found");
  user.send("GET", webhooks_path).then(200).with_member("data", json::array{});
}

TEST_F(Webhooks, GetANewSecret) {
  const Answer made = make(R"({"url": "https://example.com/h", "enabled": false})").then(201);
  const std::string id = json::value_to<std::string>(made.data().at("id"));
  const Answer rotated = user.send("POST", path_of(id) + "/rotate-secret").then(200);
  rotated.with_header("Cache-Control", "no-store");
  EXPECT_NE(rotated.data().at("secret"), made.data().at("secret"));
  EXPECT_TRUE(rotated.data().at("secret_rotated_at").is_string());
}

TEST_F(Webhooks, RefuseABodyThatNobodyWouldRead) {
  const std::string path = path_of(json::value_to<std::string>(
      make(R"({"url": "https://example.com/h", "enabled": false})").then(201).data().at("id")));
  const auto before = user.send("GET", path).then(200).data().at("secret_rotated_at");

  for (const std::string body : {R"({"grace_seconds": 60})", "[]", "nonsense"}) {
    user.send("POST", path + "/rotate-secret", {}, body)
        .then(400)
        .with_error_naming("this endpoint takes none");
  }
  EXPECT_EQ(user.send("GET", path).then(200).data().at("secret_rotated_at"), before);
  user.send("POST", path + "/rotate-secret", {}, "{}").then(200);
}

TEST_F(Webhooks, AreRefusedWithAllThatIsWrong) {
  make(R"({"url": 7, "description": null, "types": ["contactd.writer.claimed.v1"],
           "enabled": "yes", "secret": "x"})")
      .then(400)
      .with_field_error("url", "Expected string, received number")
      .with_field_error("description", "Expected string, received null")
      .with_field_error("types",
                        "Expected types of contacts' events, such as "
                        "contactd.contact.updated.v1; GET /schemas lists them")
      .with_field_error("enabled", "Expected boolean, received string")
      .with_form_error("Unrecognized key(s) in object: 'secret'");
  make("{}").then(400).with_field_error("url", "Required");
  make("[]").then(400);
  make("{").then(400);
  make(R"({"url": "https://example.com/", "url": "https://example.com/"})").then(400);
  make(R"({"url": "https://example.com/", "types": "all"})").then(400);
  make(R"({"url": "https://example.com/", "description": ")" + std::string(501, 'x') + "\"}")
      .then(400)
      .with_field_error("description", "Expected at most 500 characters");
  for (const std::string url :
       {"http://example.com/", "https://127.0.0.1/", "https://10.0.0.1/", "https://[::1]/",
        "https://localhost/", "https://2130706433/", "https://127.1/", "https://0x7f000001/",
        "https://0177.0.0.1/", "https://%31%32%37.0.0.1/", "example.com",
        "https://u:p@example.com/"}) {
    make(R"({"url": ")" + url + "\"}").then(400);
  }
  user.send("GET", webhooks_path).then(200).with_member("data", json::array{});
  const std::string id = given_webhook(user);
  user.send("PATCH", path_of(id), {}, R"({"url": "http://example.com/"})").then(400);
  user.send("GET", path_of(id)).then(200).with_field("url", "https://example.com/h");
}

TEST_F(Webhooks, TakeNoIdempotencyKey) {
  const Headers key = {{"Idempotency-Key", "k"}};
  user.send("POST", webhooks_path, key, R"({"url": "https://example.com/"})")
      .then(400)
      .with_error_naming("Idempotency-Key");
  user.send("GET", webhooks_path).then(200).with_member("data", json::array{});
}

TEST_F(Webhooks, TakeNoPrecondition) {
  const std::string id = given_webhook(user);
  const json::value before = user.send("GET", path_of(id)).then(200).json();
  for (const std::string name : {"If-Match", "If-None-Match"}) {
    for (const std::string value : {"\"1\"", "*"}) {
      const Headers header = {{name, value}};
      user.send("PATCH", path_of(id), header, R"({"enabled": false})")
          .then(400)
          .with_error_naming(name);
      user.send("DELETE", path_of(id), header).then(400).with_error_naming(name);
      for (const std::string& path :
           {path_of(id) + "/rotate-secret", path_of(id) + "/deliveries/0000000000000001/replay"}) {
        user.send("POST", path, header).then(400).with_error_naming(name);
      }
      user.send("POST", "/api/v1/webhooks", header, R"({"url": "https://x.example"})")
          .then(400)
          .with_error_naming(name);
    }
  }
  EXPECT_EQ(user.send("GET", path_of(id)).then(200).json(), before);
}

TEST_F(Webhooks, AreAsManyAsAnOrganizationMayHave) {
  for (std::size_t i = 0; i < domain::webhooks_max; ++i) given_webhook(user);
  make(R"({"url": "https://example.com/"})").then(409).with_error_naming("20 webhooks");
  const json::array all = user.send("GET", webhooks_path).then(200).json().at("data").as_array();
  EXPECT_EQ(all.size(), domain::webhooks_max);
  user.send("DELETE", path_of(json::value_to<std::string>(all.front().at("id")))).then(200);
  given_webhook(user);
}

TEST_F(Webhooks, NeedTheirScope) {
  const auto user_with = [&](const std::string& scopes) {
    const Answer made = admin_of(shared_server())
                            .send("POST", "/admin/v1/keys", {},
                                  R"({"organization": ")" + user.organization() +
                                      R"(", "name": "n", "scopes": )" + scopes + "}")
                            .then(201);
    return ApiUser{shared_server().port(), json::value_to<std::string>(made.data().at("key"))};
  };
  ApiUser contacts_only = user_with(R"({"contacts": "write"})");
  contacts_only.send("GET", webhooks_path).then(403).with_error("insufficient_scope");
  ApiUser reader = user_with(R"({"webhooks": "read"})");
  reader.send("GET", webhooks_path).then(200);
  reader.send("POST", webhooks_path, {}, "{}").then(403);
  reader.list().then(403);
  user_with(R"({"webhooks": "write"})")
      .send("POST", webhooks_path, {}, R"({"url": "https://example.com/", "enabled": false})")
      .then(201);
}

TEST_F(Webhooks, OfAnotherOrganizationAreNotThere) {
  ApiUser other = given_user(shared_server());
  const std::string id = given_webhook(other);
  const std::string path = path_of(id);
  const std::string unknown = path_of("AbCdEfGhIjKlMnOpQrSt");
  const std::vector<std::pair<std::string, std::string>> requests = {
      {"GET", ""},
      {"DELETE", ""},
      {"POST", "/rotate-secret"},
      {"GET", "/deliveries"},
      {"POST", "/deliveries/0000000000000001/replay"}};
  for (const auto& [method, rest] : requests) {
    const Answer theirs = user.send(method, path + rest).then(404);
    EXPECT_EQ(theirs.body(), user.send(method, unknown + rest).then(404).body());
  }
  user.send("PATCH", path, {}, R"({"enabled": true})").then(404);
  other.send("GET", path).then(200).with_field("enabled", false);
  user.send("GET", webhooks_path).then(200).with_member("data", json::array{});
}

TEST_F(Webhooks, ListNoDeliveriesBeforeThereAreAny) {
  const std::string path = path_of(given_webhook(user)) + "/deliveries";
  user.send("GET", path)
      .then(200)
      .with_member("data", json::array{})
      .with_member("next_cursor", nullptr);
  for (const std::string query : {"limit=0", "limit=201", "limit=x", "cursor=x", "page=1",
                                  "limit=1&limit=2", "cursor=0000000000000001"}) {
    user.send("GET", path + "?" + query).then(400);
  }
}

TEST_F(Webhooks, ReplayNoDeliveryThatNeverWas) {
  const std::string path = path_of(given_webhook(user)) + "/deliveries/";
  for (const std::string id : {"x", "ffffffffffffffff", "0000000000000000", "0000000000000001 "}) {
    user.send("POST", path + encoded(id) + "/replay").then(404).with_error("Delivery not found");
  }
}

TEST(WebhookSecret, IsMadeForTheOwnerAlone) {
  const ServerProcess server;
  struct stat status{};
  ASSERT_EQ(stat((server.data_dir() / "webhook.key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST(WebhookSecret, IsGivenOrElseRefused) {
  const std::string secret = "0123456789abcdef0123456789abcdef";
  ServerProcess server{{{}, {{"CONTACTD_WEBHOOK_SECRET", secret}}}};
  EXPECT_FALSE(std::filesystem::exists(server.data_dir() / "webhook.key"));
  server.stop();
  EXPECT_THROW(server.start({{"--webhook-secret", "short"}, {}}), std::runtime_error);
  EXPECT_NE(server.log().find("too short"), std::string::npos);
}

}  // namespace
}  // namespace contactd::test
