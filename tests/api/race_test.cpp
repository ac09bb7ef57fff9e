#include <boost/json.hpp>
#include <map>
#include <vector>

#include "tests/support/api_fixture.hpp"

// Emails are unique per organization, whoever comes first.
namespace contactd::test {
namespace {

namespace json = boost::json;

constexpr std::size_t racers = 64;
constexpr int rounds = 10;

class Race : public ApiTest {
 protected:
  Request patch_of(const Contact& contact, std::string_view field, std::string_view value) const {
    return {"PATCH", contact_path(contact.id), headers,
            json::serialize(json::object{{field, text(value)}})};
  }

  const std::uint16_t port = shared_server().port();
  const Headers headers = {{"X-API-KEY", user.key()}, {"Content-Type", "application/json"}};
};

std::map<unsigned, std::size_t> statuses_of(const std::vector<Response>& responses) {
  std::map<unsigned, std::size_t> statuses;
  for (const Response& response : responses) ++statuses[response.status];
  return statuses;
}

TEST_F(Race, OfSixtyFourClientsForOneEmailExactlyOneWins) {
  std::vector<Contact> contacts(racers);
  for (Contact& contact : contacts) contact = user.given_contact();
  for (int round = 0; round < rounds; ++round) {
    const std::string email = "round" + std::to_string(round) + "@example.com";
    std::vector<Request> requests(racers);
    for (std::size_t i = 0; i < racers; ++i) requests[i] = patch_of(contacts[i], "email", email);
    const auto responses = send_at_once(port, requests);

    std::string winner;
    std::size_t winners = 0;
    for (std::size_t i = 0; i < racers; ++i) {
      if (responses[i].status != 200) continue;
      ++winners;
      winner = contacts[i].id;
    }
    ASSERT_EQ(winners, 1U) << "in round " << round;
    for (std::size_t i = 0; i < racers; ++i) {
      if (contacts[i].id == winner) continue;
      ASSERT_EQ(responses[i].status, 409U) << responses[i].body;
      EXPECT_EQ(responses[i].json().at("contact_id"), text(winner));
    }
    user.read(winner).with_field("email", email);
  }

  // The index agrees with the contacts: each email is found at the contact that has it, no other.
  std::size_t with_email = 0;
  for (const Contact& contact : contacts) {
    const json::object now = user.read(contact.id).then(200).data();
    if (now.at("email").is_null()) continue;
    ++with_email;
    const json::array expected = {now};
    user.list("email=" + json::value_to<std::string>(now.at("email")))
        .then(200)
        .with_member("data", expected);
  }
  std::size_t found = 0;
  for (int round = 0; round < rounds; ++round) {
    found += user.list("email=round" + std::to_string(round) + "@example.com")
                 .json()
                 .at("data")
                 .as_array()
                 .size();
  }
  EXPECT_EQ(found, with_email);
  EXPECT_GE(with_email, 1U);
}

TEST_F(Race, OfClientsThatCreateWithOneEmailExactlyOneWins) {
  const Request create{"POST", "/api/v1/contacts", headers, R"({"email": "one@example.com"})"};
  const auto responses = send_at_once(port, std::vector<Request>(racers, create));

  EXPECT_EQ(statuses_of(responses), (std::map<unsigned, std::size_t>{{201, 1}, {409, racers - 1}}));
  EXPECT_EQ(user.list().json().at("data").as_array().size(), 1U);
}

TEST_F(Race, OfClientsThatPatchOneContactEachIsOneVersion) {
  const Contact ann = user.given_contact();
  std::vector<Request> requests(racers);
  for (std::size_t i = 0; i < racers; ++i) {
    requests[i] = patch_of(ann, "company", std::to_string(i));
  }
  const auto responses = send_at_once(port, requests);

  for (std::size_t i = 0; i < racers; ++i) {
    ASSERT_EQ(responses[i].status, 200U) << responses[i].body;
    EXPECT_EQ(responses[i].json().at("data").at("company"), text(std::to_string(i)));
  }
  user.read(ann.id).with_header("ETag", "\"" + std::to_string(racers + 1) + "\"");
}

TEST_F(Race, OfClientsWithTheSameIfMatchExactlyOneWins) {
  const Contact ann = user.given_contact();
  std::vector<Request> requests(racers);
  for (std::size_t i = 0; i < racers; ++i) {
    requests[i] = patch_of(ann, "company", std::to_string(i));
    requests[i].headers.emplace_back("If-Match", ann.etag);
  }
  EXPECT_EQ(statuses_of(send_at_once(port, requests)),
            (std::map<unsigned, std::size_t>{{200, 1}, {412, racers - 1}}));
}

}  // namespace
}  // namespace contactd::test
