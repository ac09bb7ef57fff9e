#include <boost/json.hpp>
#include <filesystem>
#include <vector>

#include "tests/support/api_fixture.hpp"

// API keys: made, listed and revoked by the admin. What ends them is in key_life_test; tenancy_test
// has what they can't see.
namespace contactd::test {
namespace {

namespace json = boost::json;

class Keys : public ApiTest {
 protected:
  Answer make_key(const std::string& body) {
    return admin.send("POST", "/admin/v1/keys", {}, body);
  }
  json::array listed(const std::string& organization) {
    const Answer keys = admin.send("GET", "/admin/v1/keys?organization=" + organization).then(200);
    return keys.json().at("data").as_array();
  }

  ApiUser admin = admin_of(shared_server());
};

TEST_F(Keys, AreMadeWithAnOrganizationANameAndScopes) {
  const Answer made =
      make_key(R"({"organization": "acme", "name": "ci", "scopes": {"contacts": "write"}})")
          .then(201)
          .with_field("organization", "acme")
          .with_field("name", "ci")
          .with_field("scopes", {{"contacts", "write"}})
          .with_header("Cache-Control", "no-store");
  std::vector<std::string> names;
  for (const auto& member : made.data()) names.emplace_back(member.key());
  EXPECT_EQ(names, (std::vector<std::string>{"id", "key", "organization", "name", "scopes",
                                             "created_at"}));
  const std::string key = json::value_to<std::string>(made.data().at("key"));
  ApiUser{shared_server().port(), key}.create("{}").then(201);
}

TEST_F(Keys, TakeNoIdempotencyKey) {
  const auto before = listed(user.organization());
  const std::string id = json::value_to<std::string>(before.front().at("id"));
  const Headers key = {{"Idempotency-Key", "k"}};
  const std::string body =
      R"({"organization": ")" + user.organization() + R"(", "name": "ci", "scopes": {}})";
  const auto refused = [&](const std::string& method, const std::string& path,
                           const std::string& sent) {
    admin.send(method, path, key, sent).then(400).with_error_naming("Idempotency-Key");
  };
  refused("POST", "/admin/v1/keys", body);
  refused("POST", "/admin/v1/keys/" + id + "/rotate", "{}");
  refused("DELETE", "/admin/v1/keys/" + id, "");
  EXPECT_EQ(listed(user.organization()), before);
}

TEST_F(Keys, TakeNoPrecondition) {
  const std::string organization = new_organization();
  const std::string body =
      R"({"organization": ")" + organization + R"(", "name": "a", "scopes": {"contacts": "read"}})";
  make_key(body).then(201);
  const json::array before = listed(organization);
  const std::string path = "/admin/v1/keys/" + json::value_to<std::string>(before.at(0).at("id"));
  for (const std::string name : {"If-Match", "If-None-Match"}) {
    for (const std::string value : {"\"1\"", "*"}) {
      const Headers header = {{name, value}};
      admin.send("POST", "/admin/v1/keys", header, body).then(400).with_error_naming(name);
      admin.send("POST", path + "/rotate", header).then(400).with_error_naming(name);
      admin.send("DELETE", path, header).then(400).with_error_naming(name);
      admin.send("POST", "/admin/v1/rebuild", header).then(400).with_error_naming(name);
      admin.send("POST", "/admin/v1/backups", header, R"({"name": "a"})")
          .then(400)
          .with_error_naming(name);
    }
  }
  EXPECT_EQ(listed(organization), before);
}

TEST_F(Keys, AreShownOnlyOnce) {
  const json::array keys = listed(user.organization());
  ASSERT_EQ(keys.size(), 1U);
  std::vector<std::string> names;
  for (const auto& member : keys.front().as_object()) names.emplace_back(member.key());
  EXPECT_EQ(names,
            (std::vector<std::string>{"id", "organization", "name", "scopes", "created_at",
                                      "revoked_at", "expires_at", "last_used_at", "replaces"}));
  const std::string all = admin.send("GET", "/admin/v1/keys").then(200).body();
  EXPECT_EQ(all.find(user.key()), std::string::npos);
}

TEST_F(Keys, OfOneOrganizationAreListedTogether) {
  given_user(shared_server(), "read", user.organization());
  given_user(shared_server(), "read");

  const json::array keys = listed(user.organization());
  EXPECT_EQ(keys.size(), 2U);
  for (const json::value& key : keys) {
    EXPECT_EQ(key.at("organization"), text(user.organization()));
    EXPECT_EQ(key.at("revoked_at"), nullptr);
  }
}

TEST_F(Keys, ThatAreRevokedGet401AtOnce) {
  const Contact ann = user.given_contact();
  const std::string id = json::value_to<std::string>(listed(user.organization()).front().at("id"));
  admin.send("DELETE", "/admin/v1/keys/" + id)
      .then(200)
      .with_member("deleted", true)
      .with_member("id", id);

  for (const Answer& answer : {user.read(ann.id), user.list(), user.create("{}")}) {
    answer.then(401).with_error("Invalid or revoked API key");
  }
  EXPECT_TRUE(listed(user.organization()).front().at("revoked_at").is_string());
  ApiUser next = given_user(shared_server(), "read", user.organization());
  next.read(ann.id).then(200);
}

TEST_F(Keys, ThatAreUnknownCannotBeRevoked) {
  admin.send("DELETE", "/admin/v1/keys/nosuchkey0000000").then(404).with_error("API key not found");
}

TEST_F(Keys, AreForTheAdminAlone) {
  const std::string body =
      R"({"organization": "acme", "name": "x", "scopes": {"contacts": "write"}})";
  ApiUser nobody{shared_server().port(), ""};
  for (ApiUser* const other : {&user, &nobody}) {
    const std::string_view error =
        other == &nobody ? "Missing X-API-KEY header" : "Invalid or revoked API key";
    other->send("GET", "/admin/v1/keys").then(401).with_error(error);
    other->send("POST", "/admin/v1/keys", {}, body).then(401).with_error(error);
    other->send("DELETE", "/admin/v1/keys/x").then(401).with_error(error);
  }
}

TEST_F(Keys, AreNotMadeFromABadRequest) {
  make_key("{").then(400);
  make_key("[]").then(400).with_form_error("Expected object, received array");
  const json::value errors = make_key(R"({"organization": "no spaces", "name": "",
                                          "scopes": {"contacts": "all"}, "owner": "x"})")
                                 .then(400)
                                 .with_form_error("Unrecognized key(s) in object: 'owner'")
                                 .json();
  for (const std::string name : {"organization", "name", "scopes", "owner"}) {
    EXPECT_TRUE(errors.at("details").at("fieldErrors").as_object().contains(name)) << name;
  }
  for (const std::string body :
       {R"({})", R"({"organization": "", "name": "x", "scopes": {}})",
        R"({"organization": "a", "name": "x", "scopes": {"deals": "read"}})",
        R"({"organization": "a", "name": "x", "scopes": "write"})",
        R"({"organization": "a", "name": "x"})",
        R"({"organization": 1, "name": "x", "scopes": {}})"}) {
    make_key(body).then(400);
  }
  const json::object long_name = {
      {"organization", std::string(65, 'a')}, {"name", "x"}, {"scopes", json::object{}}};
  make_key(json::serialize(long_name)).then(400);
  make_key(R"({"organization": "a", "name": ")" + std::string(101, 'n') + R"(", "scopes": {}})")
      .then(400);
  make_key(R"({"organization": "a", "name": "x", "scopes": )" + std::string(40, '[') +
           std::string(40, ']') + "}")
      .then(413);
  admin.send("POST", "/admin/v1/keys", {{"Content-Type", "text/plain"}}, "{}").then(415);
}

TEST_F(Keys, WithoutAScopeMayDoNothing) {
  const Answer made = make_key(R"({"organization": "acme", "name": "x", "scopes": {}})").then(201);
  made.with_field("scopes", {{"contacts", "none"}});
  ApiUser{shared_server().port(), json::value_to<std::string>(made.data().at("key"))}.list().then(
      403);
}

TEST_F(Keys, QueriesThatAreWrongAre400) {
  admin.send("GET", "/admin/v1/keys?organization=a%20b")
      .then(400)
      .with_error_naming("organization");
  admin.send("GET", "/admin/v1/keys?sort=name").then(400).with_error_naming("sort");
  admin.send("GET", "/admin/v1/keys?cursor=zzzz").then(400).with_error_naming("cursor");
  admin.send("GET", "/admin/v1/keys?organization=a&organization=b")
      .then(400)
      .with_error_naming("organization");
  admin.send("POST", "/admin/v1/keys?x=1", {}, "{}").then(400).with_error_naming("x");
  admin.send("DELETE", "/admin/v1/keys/k?x=1").then(400).with_error_naming("x");
}

TEST_F(Keys, SurviveARestart) {
  ServerProcess server;
  ApiUser kept = given_user(server);
  ApiUser revoked = given_user(server, "write", kept.organization());
  const Contact ann = kept.given_contact();
  const std::string admin_key = server.admin_key();
  ApiUser administrator = admin_of(server);
  const json::value keys = administrator.send("GET", "/admin/v1/keys").then(200).json();
  for (const json::value& key : keys.at("data").as_array()) {
    const std::string id = json::value_to<std::string>(key.at("id"));
    if (revoked.key().find(id) == std::string::npos) continue;
    administrator.send("DELETE", "/admin/v1/keys/" + id).then(200);
  }
  EXPECT_EQ(server.stop(), exited(0));
  server.start();
  kept.move_to(server.port());
  revoked.move_to(server.port());

  kept.read(ann.id).then(200);
  revoked.read(ann.id).then(401);
  EXPECT_EQ(server.admin_key(), admin_key);
}

// Whether the bytes stand in a file below the directory, other than the admin key's.
bool is_stored(const std::filesystem::path& directory, const std::string& bytes) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator{directory}) {
    if (!entry.is_regular_file() || entry.path().filename() == "admin.key") continue;
    if (read_whole_file(entry.path()).find(bytes) != std::string::npos) return true;
  }
  return false;
}

TEST_F(Keys, AreStoredOnlyAsAHash) {
  ServerProcess server;
  const ApiUser made = given_user(server, "write", "an-organization-to-be-found");
  const std::string secret = made.key().substr(made.key().size() - 20);
  server.kill();

  // That the search finds what is there; a log on Kafka isn't.
  if (!tests_run_on_kafka()) {
    EXPECT_TRUE(is_stored(server.data_dir(), made.organization()));
  }
  EXPECT_FALSE(is_stored(server.data_dir(), secret));
  EXPECT_FALSE(is_stored(server.data_dir(), server.admin_key()));
}

}  // namespace
}  // namespace contactd::test
