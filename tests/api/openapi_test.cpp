#include <boost/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "tests/api/contract_fields.hpp"
#include "tests/support/api_fixture.hpp"

// GET /openapi.json, the one source that every answer of every test here is checked against; and
// the answers that all its operations have in common.
namespace contactd::test {
namespace {

namespace json = boost::json;

constexpr std::string_view unknown_id = "AbCdEfGhIjKlMnOpQrSt";

struct Operation {
  std::string method;
  std::string path;  // with ids filled in
  std::set<std::string> statuses;
};

class OpenApi : public ApiTest {
 protected:
  static std::string filled(std::string path) {
    for (const std::string name : {"{contactId}", "{keyId}", "{webhookId}", "{deliveryId}"}) {
      const std::size_t at = path.find(name);
      if (at != std::string::npos) path.replace(at, name.size(), unknown_id);
    }
    const std::string type = "{eventType}";
    if (const std::size_t at = path.find(type); at != std::string::npos) {
      path.replace(at, type.size(), "contactd.contact.updated.v1");
    }
    return path;
  }

  // Those that document this status.
  static std::vector<Operation> operations_with(const std::string& status) {
    std::vector<Operation> all;
    for (const DocumentedAnswer& answer : openapi().documented()) {
      if (answer.status == status) all.push_back({answer.method, filled(answer.path), {}});
    }
    return all;
  }

  // Sends the operation's head, with `more` after the Host header.
  void expect_refused(const Operation& operation, const std::string& target,
                      const std::string& more, unsigned status) {
    const Response response =
        send_raw(shared_server().port(),
                 operation.method + ' ' + target + " HTTP/1.1\r\nHost: localhost\r\n" + more);
    EXPECT_EQ(response.status, status) << operation.method << ' ' << target;
    expect_documented({operation.method, operation.path, {}, {}, response});
  }
};

TEST_F(OpenApi, IsAVersion31DocumentForEverybody) {
  ApiUser nobody{shared_server().port(), ""};
  const Answer answer = nobody.send("GET", "/openapi.json").then(200);
  answer.with_header("Content-Type", "application/json").with_member("openapi", "3.1.0");
  const json::object info = answer.json().at("info").as_object();
  EXPECT_TRUE(info.contains("title"));
  EXPECT_TRUE(info.contains("version"));
}

TEST_F(OpenApi, HasEveryPathOfTheContract) {
  std::set<std::string> operations;
  for (const DocumentedAnswer& answer : openapi().documented()) {
    operations.insert(answer.method + ' ' + answer.path);
  }
  for (const std::string operation :
       {"PATCH /api/v1/contacts/{contactId}",
        "GET /api/v1/contacts/{contactId}",
        "DELETE /api/v1/contacts/{contactId}",
        "GET /api/v1/contacts/{contactId}/history",
        "POST /api/v1/contacts/{contactId}/revert",
        "POST /api/v1/contacts",
        "GET /api/v1/contacts",
        "GET /api/v1/events",
        "GET /api/v1/webhooks",
        "POST /api/v1/webhooks",
        "GET /api/v1/webhooks/{webhookId}",
        "PATCH /api/v1/webhooks/{webhookId}",
        "DELETE /api/v1/webhooks/{webhookId}",
        "POST /api/v1/webhooks/{webhookId}/rotate-secret",
        "GET /api/v1/webhooks/{webhookId}/deliveries",
        "POST /api/v1/webhooks/{webhookId}/deliveries/{deliveryId}/replay",
        "POST /admin/v1/keys",
        "GET /admin/v1/keys",
        "DELETE /admin/v1/keys/{keyId}",
        "POST /admin/v1/keys/{keyId}/rotate",
        "GET /admin/v1/backups",
        "POST /admin/v1/backups",
        "GET /admin/v1/rebuild",
        "POST /admin/v1/rebuild",
        "GET /schemas",
        "GET /schemas/{eventType}",
        "GET /openapi.json",
        "GET /healthz",
        "GET /readyz",
        "GET /metrics"}) {
    EXPECT_TRUE(operations.contains(operation)) << operation;
  }
}

TEST_F(OpenApi, TheContactHasTheContractsMembersInItsOrder) {
  const json::value& contact = openapi().json().at("components").at("schemas").at("Contact");
  std::vector<std::string> names;
  for (const auto& member : contact.at("properties").as_object()) names.emplace_back(member.key());
  EXPECT_EQ(names, std::vector<std::string>(contact_members.begin(), contact_members.end()));
  EXPECT_EQ(contact.at("required").as_array().size(), contact_members.size());
}

TEST_F(OpenApi, ThePatchSaysOfEachFieldWhatTheContractSays) {
  const json::value& patch = openapi().json().at("components").at("schemas").at("ContactPatch");
  EXPECT_EQ(patch.at("additionalProperties"), false);
  EXPECT_EQ(patch.at("properties").as_object().size(), contract_fields.size());
  for (const ContractField& field : contract_fields) {
    const json::value& schema = patch.at("properties").at(field.name);
    const json::value nullable = {"string", "null"};
    if (field.takes == Takes::tags) {
      EXPECT_EQ(schema.at("type"), "array");
    } else {
      EXPECT_EQ(schema.at("type"),
                field.takes == Takes::text_or_null ? nullable : json::value("string"))
          << field.name;
    }
  }
}

// Every example of a content: `example`, or the values of `examples`.
std::vector<json::value> examples_of(const json::object& media) {
  std::vector<json::value> examples;
  if (const json::value* one = media.if_contains("example")) examples.push_back(*one);
  if (const json::value* many = media.if_contains("examples")) {
    for (const auto& [name, example] : many->as_object()) examples.push_back(example.at("value"));
  }
  return examples;
}

// Checks all the examples below `node` that stand beside a schema; returns how many there are.
std::size_t check_examples(const json::value& node) {
  std::size_t count = 0;
  if (const auto* array = node.if_array()) {
    for (const json::value& item : *array) count += check_examples(item);
  }
  const auto* object = node.if_object();
  if (object == nullptr) return count;
  const json::value* const schema = object->if_contains("schema");
  const bool is_parameter = object->contains("in");  // its example is not always as it is sent
  if (schema != nullptr && schema->is_object() && !is_parameter) {
    const JsonSchema checked{resolve_references(openapi().json(), *schema)};
    for (const json::value& example : examples_of(*object)) {
      ++count;
      for (const std::string& complaint : checked.complaints_about(example)) {
        ADD_FAILURE() << json::serialize(example) << ": " << complaint;
      }
    }
  }
  for (const auto& [name, value] : *object) count += check_examples(value);
  return count;
}

TEST_F(OpenApi, ItsExamplesAreAsItsSchemasSay) { EXPECT_GT(check_examples(openapi().json()), 0U); }

TEST_F(OpenApi, EveryOperationRefusesAMalformedHeader) {
  for (const Operation& operation : operations_with("400")) {
    expect_refused(operation, operation.path, "Bad Name: x\r\n\r\n", 400);
  }
}

TEST_F(OpenApi, EveryOperationRefusesWhatIsTooLarge) {
  for (const Operation& operation : operations_with("413")) {
    expect_refused(operation, operation.path, "Content-Length: 300000\r\n\r\n", 413);
  }
  for (const Operation& operation : operations_with("414")) {
    const std::string target = operation.path + '?' + std::string(5000, 'x');
    expect_refused(operation, target, "\r\n", 414);
  }
  for (const Operation& operation : operations_with("431")) {
    const std::string field = "X: " + std::string(20'000, 'x') + "\r\n\r\n";
    expect_refused(operation, operation.path, field, 431);
  }
}

TEST_F(OpenApi, EveryOperationTellsAClientThatIsTooSlow) {
  ServerProcess server{{{"--header-timeout-ms", "200"}, {}}};
  const std::vector<Operation> operations = operations_with("408");
  std::vector<RawConnection> connections;
  for (const Operation& operation : operations) {
    connections.emplace_back(server.port());
    connections.back().send(operation.method + ' ' + operation.path + " HTTP/1.1\r\n");
  }
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const Response response = ResponseReader{connections[i]}.read(operations[i].method == "HEAD");
    EXPECT_EQ(response.status, 408U);
    expect_documented({operations[i].method, operations[i].path, {}, {}, response});
  }
}

TEST_F(OpenApi, EveryOperationWithKeysAsksForOne) {
  ApiUser nobody{shared_server().port(), ""};
  for (const Operation& operation : operations_with("401")) {
    nobody.send(operation.method, operation.path).then(401);
  }
}

TEST_F(OpenApi, EveryOperationWithAScopeAsksForIt) {
  ApiUser stranger = given_user(shared_server(), "none");
  for (const Operation& operation : operations_with("403")) {
    stranger.send(operation.method, operation.path).then(403);
  }
}

TEST_F(OpenApi, EveryOperationWithABodyAsksForItsLengthAndType) {
  for (const std::string status : {"411", "415"}) {
    for (const Operation& operation : operations_with(status)) {
      const std::string& key =
          operation.path.starts_with("/admin") ? shared_server().admin_key() : user.key();
      const std::string fields = "X-API-KEY: " + key + "\r\n";
      const std::string rest = status == "411" ? "\r\n"
                                               : "Content-Type: text/plain\r\nContent-Length: 2"
                                                 "\r\n\r\n{}";
      expect_refused(operation, operation.path, fields + rest, status == "411" ? 411 : 415);
    }
  }
}

TEST_F(OpenApi, EveryContactOperationMissesAContactThatIsNotThere) {
  for (const Operation& operation : operations_with("404")) {
    if (!operation.path.starts_with("/api/")) continue;
    std::optional<std::string> body;
    if (operation.method == "PATCH") body = "{}";
    if (operation.path.ends_with("/revert")) body = R"({"version": 1})";
    user.send(operation.method, operation.path, {}, body).then(404);
  }
}

TEST_F(OpenApi, EveryPathAnswersOptionsAndHead) {
  for (const Operation& operation : operations_with("204")) {
    user.send("OPTIONS", operation.path).then(204).with_header("Allow");
  }
  ApiUser admin = admin_of(shared_server());
  const Contact ann = user.given_contact();
  const std::string webhook =
      json::value_to<std::string>(user.send("POST", "/api/v1/webhooks", {},
                                            R"({"url": "https://example.com/", "enabled": false})")
                                      .then(201)
                                      .data()
                                      .at("id"));
  for (const Operation& operation : operations_with("200")) {
    if (operation.method != "HEAD") continue;
    std::string path = operation.path;
    if (const auto at = path.find(unknown_id); at != std::string::npos) {
      const bool of_webhook = path.starts_with("/api/v1/webhooks/");
      path.replace(at, unknown_id.size(), of_webhook ? webhook : ann.id);
    }
    ApiUser& caller = operation.path.starts_with("/admin") ? admin : user;
    caller.send("HEAD", path).then(200);
    caller.send("GET", path).then(200);
  }
}

}  // namespace
}  // namespace contactd::test
