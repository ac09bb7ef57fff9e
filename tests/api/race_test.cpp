#include <barrier>
#include <boost/json.hpp>
#include <map>
#include <thread>
#include <vector>

#include "tests/support/api_fixture.hpp"

// Emails are unique per organization, whoever comes first.
namespace contactd::test {
namespace {

namespace json = boost::json;

constexpr std::size_t racers = 64;
constexpr int rounds = 10;

class Race : public ApiTest {};

// Every racer sets `email` on its own contact, all at once; returns the statuses.
std::vector<Response> race_for(const std::string& email, const ApiUser& user,
                               std::vector<HttpClient>& clients,
                               const std::vector<Contact>& contacts) {
  const std::string body = json::serialize(json::object{{"email", email}});
  std::vector<Response> responses(clients.size());
  std::barrier start{static_cast<std::ptrdiff_t>(clients.size())};
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < clients.size(); ++i) {
    threads.emplace_back([&, i] {
      start.arrive_and_wait();
      responses[i] = clients[i].request(
          "PATCH", contact_path(contacts[i].id),
          {{"X-API-KEY", user.key()}, {"Content-Type", "application/json"}}, body);
    });
  }
  threads.clear();
  return responses;
}

TEST_F(Race, OfSixtyFourClientsForOneEmailExactlyOneWins) {
  std::vector<Contact> contacts;
  std::vector<HttpClient> clients;
  for (std::size_t i = 0; i < racers; ++i) {
    contacts.push_back(user.given_contact());
    clients.emplace_back(shared_server().port());
    clients.back().request("GET", "/healthz");
  }
  for (int round = 0; round < rounds; ++round) {
    const std::string email = "round" + std::to_string(round) + "@example.com";
    const auto responses = race_for(email, user, clients, contacts);

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
  std::vector<Response> responses(racers);
  std::barrier start{static_cast<std::ptrdiff_t>(racers)};
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < racers; ++i) {
    threads.emplace_back([&, i] {
      HttpClient client{shared_server().port()};
      client.request("GET", "/healthz");
      start.arrive_and_wait();
      responses[i] =
          client.request("POST", "/api/v1/contacts",
                         {{"X-API-KEY", user.key()}, {"Content-Type", "application/json"}},
                         R"({"email": "one@example.com"})");
    });
  }
  threads.clear();

  std::map<unsigned, std::size_t> statuses;
  for (const Response& response : responses) ++statuses[response.status];
  EXPECT_EQ(statuses, (std::map<unsigned, std::size_t>{{201, 1}, {409, racers - 1}}));
  EXPECT_EQ(user.list().json().at("data").as_array().size(), 1U);
}

TEST_F(Race, OfClientsThatPatchOneContactEachIsOneVersion) {
  const Contact ann = user.given_contact();
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < racers; ++i) {
    threads.emplace_back([&, i] {
      HttpClient client{shared_server().port()};
      const Response response =
          client.request("PATCH", contact_path(ann.id),
                         {{"X-API-KEY", user.key()}, {"Content-Type", "application/json"}},
                         json::serialize(json::object{{"company", std::to_string(i)}}));
      EXPECT_EQ(response.status, 200U) << response.body;
      EXPECT_EQ(response.json().at("data").at("company"), text(std::to_string(i)));
    });
  }
  threads.clear();
  user.read(ann.id).with_header("ETag", "\"" + std::to_string(racers + 1) + "\"");
}

TEST_F(Race, OfClientsWithTheSameIfMatchExactlyOneWins) {
  const Contact ann = user.given_contact();
  std::vector<Response> responses(racers);
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < racers; ++i) {
    threads.emplace_back([&, i] {
      HttpClient client{shared_server().port()};
      responses[i] = client.request(
          "PATCH", contact_path(ann.id),
          {{"X-API-KEY", user.key()}, {"Content-Type", "application/json"}, {"If-Match", ann.etag}},
          json::serialize(json::object{{"company", std::to_string(i)}}));
    });
  }
  threads.clear();
  std::map<unsigned, std::size_t> statuses;
  for (const Response& response : responses) ++statuses[response.status];
  EXPECT_EQ(statuses, (std::map<unsigned, std::size_t>{{200, 1}, {412, racers - 1}}));
}

}  // namespace
}  // namespace contactd::test
