#include <boost/json.hpp>

#include "tests/support/api_fixture.hpp"

// application/problem+json (RFC 9457) goes only to a client that asks for it by name.
namespace contactd::test {
namespace {

class ProblemJson : public ApiTest {
 protected:
  const Headers asks = {{"Accept", "application/json, application/problem+json;q=0.9"}};
};

TEST_F(ProblemJson, HasTheErrorAndTheDetailsAsExtensionMembers) {
  const Contact ann = user.given_contact();
  const Answer plain = user.patch(ann.id, R"({"first_name": null})").then(400);
  const Answer problem = user.patch(ann.id, R"({"first_name": null})", asks).then(400);

  problem.with_header("Content-Type", "application/problem+json")
      .with_member("type", "about:blank")
      .with_member("title", "Bad Request")
      .with_member("status", 400)
      .with_member("error", plain.json().at("error"))
      .with_member("details", plain.json().at("details"));
  EXPECT_TRUE(problem.json().at("detail").is_string());
}

TEST_F(ProblemJson, IsSentForEveryKindOfError) {
  const Contact ann = user.given_contact(R"({"email": "ann@example.com"})");
  ApiUser reader = given_user(shared_server(), "read", user.organization());
  ApiUser nobody{shared_server().port(), ""};
  Headers stale = asks;
  stale.emplace_back("If-Match", "\"9\"");
  Headers text = asks;
  text.emplace_back("Content-Type", "text/plain");

  const std::vector<Answer> answers = {
      nobody.read(ann.id, asks).then(401),
      reader.patch(ann.id, "{}", asks).then(403),
      user.read("nobody", asks).then(404),
      user.send("PUT", contact_path(ann.id), asks, "{}").then(405),
      user.create(R"({"email": "ann@example.com"})", asks)
          .then(409)
          .with_member("contact_id", ann.id),
      user.patch(ann.id, "{}", stale).then(412).with_member("version", 1),
      user.patch(ann.id, "{}", text).then(415).with_header("Accept-Patch"),
      user.send("GET", "/api/v1/contacts?page=0", asks).then(400),
      user.send("GET", "/nowhere", asks).then(404),
  };
  for (const Answer& answer : answers) {
    answer.with_header("Content-Type", "application/problem+json")
        .with_member("status", answer.status());
    EXPECT_TRUE(answer.json().at("error").is_string());
  }
}

// Also where a request is refused before it is whole.
TEST_F(ProblemJson, IsSentByTheHttpLayerToo) {
  const std::string head = "Host: x\r\nAccept: application/problem+json\r\n";
  const std::pair<std::string, unsigned> requests[] = {
      {"GET / HTTP/1.1\r\n" + head + "Host: y\r\n\r\n", 400},
      {"POST /api/v1/contacts HTTP/1.1\r\n" + head + "Content-Length: 999999\r\n\r\n", 413},
      {"POST /api/v1/contacts HTTP/1.1\r\n" + head + "Transfer-Encoding: chunked\r\n\r\nx\r\n",
       400},
      {"GET / HTTP/1.1\r\n" + head + "Expect: x\r\n\r\n", 417},
      {"GET / HTTP/1.1\r\n" + head + "X: " + std::string(20'000, 'x'), 431}};
  for (const auto& [request, status] : requests) {
    const Response answer = send_raw(shared_server().port(), request);
    EXPECT_EQ(answer.status, status);
    EXPECT_EQ(answer.header("Content-Type"), "application/problem+json") << status;
    EXPECT_EQ(answer.json().at("status"), status);
  }
}

TEST_F(ProblemJson, IsNotSentToAClientThatDidNotNameIt) {
  for (const std::string accept :
       {"*/*", "application/*", "application/json", "text/html", "", "application/problem+json;q=0",
        "application/problem+json; q=0.000"}) {
    user.read("nobody", {{"Accept", accept}})
        .then(404)
        .with_header("Content-Type", "application/json")
        .with_error("Contact not found");
  }
}

TEST_F(ProblemJson, IsNotSentForASuccess) {
  const Contact ann = user.given_contact();
  user.read(ann.id, asks).then(200).with_header("Content-Type", "application/json");
}

}  // namespace
}  // namespace contactd::test
