#include <boost/json.hpp>
#include <functional>
#include <vector>

#include "tests/support/api_fixture.hpp"

// Idempotency-Key on POST, PATCH and DELETE.
namespace contactd::test {
namespace {

class Idempotency : public ApiTest {
 protected:
  static Headers keyed(const std::string& key) { return {{"Idempotency-Key", key}}; }
};

void expect_replay(const Answer& again, const Answer& first) {
  again.then(first.status()).with_header("Idempotent-Replay", "true");
  EXPECT_EQ(again.body(), first.body());
  for (const std::string name : {"ETag", "Location", "Content-Type"}) {
    EXPECT_EQ(again.response().header(name), first.response().header(name)) << name;
  }
}

TEST_F(Idempotency, ARepeatedPostCreatesOnce) {
  const Answer first = user.create(R"({"first_name": "Ann"})", keyed("k1")).then(201);
  first.without_header("Idempotent-Replay");

  expect_replay(user.create(R"({"first_name": "Ann"})", keyed("k1")), first);
  EXPECT_EQ(user.list().json().at("data").as_array().size(), 1U);
}

TEST_F(Idempotency, ARepeatedPatchAnswersByteForByteAlsoAfterOtherChanges) {
  const Contact ann = user.given_contact();
  const Answer first = user.patch(ann.id, R"({"company": "A"})", keyed("k1")).then(200);
  user.given_patched(ann.id, R"({"company": "B"})");

  expect_replay(user.patch(ann.id, R"({"company": "A"})", keyed("k1")), first);
  user.read(ann.id).with_field("company", "B");
}

TEST_F(Idempotency, ARepeatedDeleteAnswersThatItIsDeleted) {
  const Contact ann = user.given_contact();
  const Answer first = user.remove(ann.id, keyed("k1")).then(200);

  expect_replay(user.remove(ann.id, keyed("k1")), first);
}

TEST_F(Idempotency, ARefusalIsRepeatedTooStatusIncluded) {
  const Contact ann = user.given_contact(R"({"email": "ann@example.com"})");
  const Contact bob = user.given_contact();
  const std::string taken = R"({"email": "ann@example.com"})";
  const Answer conflict = user.patch(bob.id, taken, keyed("k1")).then(409);
  const Answer missing = user.patch("AbCdEfGhIjKlMnOpQrSt", "{}", keyed("k2")).then(404);
  Headers stale = keyed("k3");
  stale.emplace_back("If-Match", "\"9\"");
  const Answer failed = user.patch(ann.id, R"({"company": "A"})", stale).then(412);
  user.remove(ann.id).then(200);

  expect_replay(user.patch(bob.id, taken, keyed("k1")), conflict);
  expect_replay(user.patch("AbCdEfGhIjKlMnOpQrSt", "{}", keyed("k2")), missing);
  expect_replay(user.patch(ann.id, R"({"company": "A"})", stale), failed);
}

TEST_F(Idempotency, APatchThatChangedNothingIsRepeatedToo) {
  const Contact ann = user.given_contact();
  const Answer first = user.patch(ann.id, "{}", keyed("k1")).then(200);
  user.given_patched(ann.id, R"({"company": "B"})");

  expect_replay(user.patch(ann.id, "{}", keyed("k1")), first);
}

TEST_F(Idempotency, IsLookedUpBeforeIfMatch) {
  const Contact ann = user.given_contact();
  Headers headers = keyed("k1");
  headers.emplace_back("If-Match", ann.etag);
  const Answer first = user.patch(ann.id, R"({"company": "A"})", headers).then(200);

  expect_replay(user.patch(ann.id, R"({"company": "A"})", headers), first);
  user.patch(ann.id, R"({"company": "A"})", {{"If-Match", ann.etag}}).then(412);
}

TEST_F(Idempotency, IsLookedUpAfterAnIfMatchThatIsMalformed) {
  const Contact ann = user.given_contact();
  user.patch(ann.id, R"({"company": "A"})", keyed("k1")).then(200);
  Headers malformed = keyed("k1");
  malformed.emplace_back("If-Match", "1");

  user.patch(ann.id, R"({"company": "A"})", malformed)
      .then(400)
      .without_header("Idempotent-Replay");
}

TEST_F(Idempotency, WhatNeverCameToBeDecidedIsNotKept) {
  const Contact ann = user.given_contact();
  for (int i = 0; i < 2; ++i) {
    user.patch("no-id", "{}", keyed("k1")).then(404).without_header("Idempotent-Replay");
    user.send("PUT", contact_path(ann.id), keyed("k1"), "{}").then(405);
  }
  user.patch(ann.id, R"({"company": "A"})", keyed("k1"))
      .then(200)
      .without_header("Idempotent-Replay");
}

TEST_F(Idempotency, TheSameKeyWithAnotherRequestIs422) {
  const Contact ann = user.given_contact();
  const Contact bob = user.given_contact();
  user.patch(ann.id, R"({"company": "A"})", keyed("k1")).then(200);

  user.patch(ann.id, R"({"company": "B"})", keyed("k1")).then(422);
  user.patch(bob.id, R"({"company": "A"})", keyed("k1")).then(422);
  user.remove(ann.id, keyed("k1")).then(422);
  user.create(R"({"company": "A"})", keyed("k1")).then(422);
  user.read(ann.id).with_field("company", "A");
  user.read(bob.id).with_field("company", nullptr);
}

TEST_F(Idempotency, BareAndQuotedAreTheSameKey) {
  const Answer first = user.create("{}", keyed("k1")).then(201);

  expect_replay(user.create("{}", keyed("\"k1\"")), first);
}

TEST_F(Idempotency, IsScopedToTheApiKey) {
  ApiUser colleague = given_user(shared_server(), "write", user.organization());
  const Answer first = user.create("{}", keyed("k1")).then(201);

  const Answer other = colleague.create("{}", keyed("k1")).then(201);
  other.without_header("Idempotent-Replay");
  EXPECT_NE(other.field("id"), first.field("id"));
}

TEST_F(Idempotency, HasAtMost255Characters) {
  user.create("{}", keyed(std::string(255, 'k'))).then(201);
  user.create("{}", keyed("\"" + std::string(255, 'q') + "\"")).then(201);
  for (const std::string& key : {std::string(256, 'k'), std::string{}, std::string{"\"\""},
                                 std::string{"\""}, std::string{"\"k1"}, std::string{"k1\""}}) {
    user.create("{}", keyed(key)).then(400).with_error_naming("Idempotency-Key");
  }
}

TEST_F(Idempotency, ABadRequestDoesNotUseTheKeyUp) {
  const Contact ann = user.given_contact();
  ApiUser reader = given_user(shared_server(), "read", user.organization());
  user.patch(ann.id, "{", keyed("k1")).then(400);
  user.patch(ann.id, R"({"status": "gone"})", keyed("k1")).then(400);
  user.patch(ann.id, "{}", {{"Idempotency-Key", "k1"}, {"Content-Type", "text/plain"}}).then(415);
  reader.patch(ann.id, "{}", keyed("k1")).then(403);

  user.patch(ann.id, R"({"company": "A"})", keyed("k1"))
      .then(200)
      .without_header("Idempotent-Replay");
}

TEST_F(Idempotency, OnAGetMeansNothing) {
  const Contact ann = user.given_contact();
  user.read(ann.id, keyed("k1")).then(200);
  user.given_patched(ann.id, R"({"company": "A"})");
  user.read(ann.id, keyed("k1")).then(200).with_field("company", "A");
}

TEST_F(Idempotency, HoldsAcrossARestartAndAKill) {
  ServerProcess server;
  ApiUser client = given_user(server);
  const Contact ann = client.given_contact(R"({"email": "ann@example.com"})");
  const Answer created = client.create(R"({"first_name": "Ann"})", keyed("k1")).then(201);
  const Answer patched = client.patch(ann.id, R"({"company": "A"})", keyed("k2")).then(200);
  const Answer taken = client.create(R"({"email": "ann@example.com"})", keyed("k3")).then(409);

  for (const bool killed : {false, true}) {
    if (killed) {
      server.kill();
    } else {
      EXPECT_EQ(server.stop(), exited(0));
    }
    server.start();
    client.move_to(server.port());
    expect_replay(client.create(R"({"first_name": "Ann"})", keyed("k1")), created);
    expect_replay(client.patch(ann.id, R"({"company": "A"})", keyed("k2")), patched);
    expect_replay(client.create(R"({"email": "ann@example.com"})", keyed("k3")), taken);
    client.patch(ann.id, R"({"company": "B"})", keyed("k2")).then(422);
  }
}

// Races until a duplicate was seen in flight, and expects that each race was won once.
void expect_in_flight_conflict(const std::string& method, unsigned success,
                               const std::function<std::string()>& next_target,
                               const ApiUser& user) {
  constexpr int rounds_max = 500;
  constexpr std::size_t clients = 16;
  bool seen_in_flight = false;
  for (int round = 0; round < rounds_max && !seen_in_flight; ++round) {
    const std::string target = next_target();
    std::size_t firsts = 0;
    const Request request{method,
                          target,
                          {{"X-API-KEY", user.key()},
                           {"Content-Type", "application/json"},
                           {"Idempotency-Key", method + std::to_string(round)}},
                          "{}"};
    const std::vector<Request> duplicates(clients, request);
    for (const Response& response : send_at_once(shared_server().port(), duplicates)) {
      expect_documented({method, target, "application/json", "{}", response});
      if (response.status == 409) {
        EXPECT_EQ(response.json().at("error"), "idempotent_request_in_progress");
        seen_in_flight = true;
      } else {
        EXPECT_EQ(response.status, success) << response.body;
        if (!response.header("Idempotent-Replay")) ++firsts;
      }
    }
    EXPECT_EQ(firsts, 1U);
  }
  EXPECT_TRUE(seen_in_flight) << "in " << rounds_max << " rounds";
}

TEST_F(Idempotency, ADuplicatePostStillInFlightIs409AndOneContactIsMade) {
  std::size_t races = 0;
  expect_in_flight_conflict("POST", 201, [&races] { return ++races, "/api/v1/contacts"; }, user);
  EXPECT_EQ(user.list().json().at("pagination").at("total"), races);
}

TEST_F(Idempotency, ADuplicateDeleteStillInFlightIs409) {
  expect_in_flight_conflict(
      "DELETE", 200, [this] { return contact_path(user.given_contact().id); }, user);
}

}  // namespace
}  // namespace contactd::test
