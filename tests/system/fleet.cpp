#include "tests/system/fleet.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <thread>

namespace contactd::test {
namespace {

namespace json = boost::json;

constexpr int crew_default = 12;                   // of one server
constexpr std::size_t deleted_looked_up_max = 10;  // the last of each client

// CONTACTD_CRASH_CLIENTS, of one server.
std::size_t crew() {
  const char* const given = std::getenv("CONTACTD_CRASH_CLIENTS");
  return static_cast<std::size_t>(given != nullptr ? std::atoi(given) : crew_default);
}

std::int64_t milliseconds_since(std::chrono::steady_clock::time_point then) {
  const auto passed = std::chrono::steady_clock::now() - then;
  return std::chrono::duration_cast<std::chrono::milliseconds>(passed).count();
}

std::vector<std::uint16_t> ports_of(const std::vector<ServerProcess*>& servers) {
  std::vector<std::uint16_t> ports;
  ports.reserve(servers.size());
  for (const ServerProcess* server : servers) ports.push_back(server->port());
  return ports;
}

std::string make_api_key(const std::vector<ServerProcess*>& servers) {
  PatientClient admin{ports_of(servers), servers.at(0)->admin_key()};
  const Response response = admin.request(
      "POST", "/admin/v1/keys", {},
      R"({"organization":"crash","name":"crash test","scopes":{"contacts":"write"}})");
  return std::string{response.json().at("data").at("key").as_string()};
}

}  // namespace

Fleet::Fleet(std::vector<ServerProcess*> servers, std::uint64_t seed,
             std::optional<infra::KafkaConfig> kafka)
    : servers_(std::move(servers)),
      kafka_(std::move(kafka)),
      crew_(crew()),
      api_key_(make_api_key(servers_)) {
  const std::size_t count = crew_ * servers_.size();
  clients_.reserve(count);
  for (std::size_t number = 0; number < count; ++number) {
    clients_.emplace_back(static_cast<int>(number), seed);
  }
}

void Fleet::load(std::size_t server, std::uint64_t answers, const std::function<void()>& disturb) {
  Progress progress;
  const std::uint16_t port = servers_.at(server)->port();
  std::vector<std::jthread> threads;
  threads.reserve(crew_);
  for (std::size_t number = server * crew_; number < (server + 1) * crew_; ++number) {
    threads.emplace_back([this, &client = clients_.at(number), &progress, port] {
      client.run(port, api_key_, progress);
    });
  }
  EXPECT_TRUE(progress.wait_for_answers(answers)) << "no answers for too long";
  disturb();
  progress.stop();
  const auto stopped = std::chrono::steady_clock::now();
  threads.clear();
  std::cout << "the last answer came " << milliseconds_since(stopped)
            << " ms after what was done to the service\n";
}

PatientClient Fleet::patient_client() const { return {ports_of(servers_), api_key_}; }

void Fleet::settle() {
  std::map<Client::End, int> ends;
  for (const Client& client : clients_) {
    if (client.unanswered()) ++ends[client.unanswered()->end];
  }
  PatientClient servers = patient_client();
  const auto started = std::chrono::steady_clock::now();
  servers.write_behind_all();
  std::cout << "unanswered: closed " << ends[Client::End::closed] << ", broken "
            << ends[Client::End::broken] << ", refused " << ends[Client::End::refused]
            << ", unknown " << ends[Client::End::unknown] << "; a change was taken after "
            << milliseconds_since(started) << " ms\n";
  for (Client& client : clients_) client.settle(servers);
}

std::uint64_t Fleet::acknowledged() const {
  std::uint64_t count = 0;
  for (const Client& client : clients_) count += client.ledger().logged().size();
  return count;
}

void Fleet::expect_no_complaints() const {
  for (const Client& client : clients_) {
    EXPECT_THAT(client.complaints(), testing::IsEmpty());
  }
}

void Fleet::expect_promises_kept() {
  expect_no_complaints();
  PatientClient http = patient_client();
  expect_list(http);
  expect_contacts(http);
  expect_emails(http);
}

void Fleet::expect_list(PatientClient& http) {
  std::map<std::string, json::value> expected;
  for (const Client& client : clients_) {
    for (const auto& [id, held] : client.ledger().held()) expected[id] = json::parse(held.json);
  }
  std::map<std::string, json::value> listed;
  for (std::string cursor;;) {
    const json::value page = http.get("/api/v1/contacts?page_size=200&cursor=" + cursor).json();
    for (const json::value& contact : page.at("data").as_array()) {
      const std::string id{contact.at("id").as_string()};
      EXPECT_TRUE(listed.emplace(id, contact).second) << id << " is listed twice";
    }
    if (page.at("next_cursor").is_null()) break;
    cursor = page.at("next_cursor").as_string();
  }
  for (const auto& [id, contact] : expected) {
    const auto found = listed.find(id);
    if (found == listed.end()) {
      ADD_FAILURE() << id << " isn't listed";
    } else {
      EXPECT_EQ(json::serialize(found->second), json::serialize(contact));
    }
  }
  for (const auto& [id, contact] : listed) {
    EXPECT_TRUE(expected.contains(id)) << "nobody made " << json::serialize(contact);
  }
}

void Fleet::expect_contacts(PatientClient& http) {
  const auto get = [&](const std::string& id) { return http.get("/api/v1/contacts/" + id); };
  for (const Client& client : clients_) {
    for (const auto& [id, held] : client.ledger().held()) {
      const Response response = get(id);
      EXPECT_EQ(response.body, R"({"data":)" + held.json + '}');
      EXPECT_EQ(response.header("ETag"), '"' + std::to_string(held.version) + '"') << held.json;
    }
    const auto& deleted = client.ledger().deleted();
    const std::size_t count = std::min(deleted.size(), deleted_looked_up_max);
    for (std::size_t i = deleted.size() - count; i < deleted.size(); ++i) {
      EXPECT_EQ(get(deleted[i]).status, 404U) << deleted[i];
    }
  }
}

void Fleet::expect_emails(PatientClient& http) {
  std::map<std::string, std::string> holders;  // empty: nobody's
  for (int number = 0; number < contested_emails; ++number) holders[contested_email(number)] = "";
  for (const Client& client : clients_) {
    for (const auto& [id, held] : client.ledger().held()) {
      const json::value contact = json::parse(held.json);
      std::string& holder = holders[std::string{contact.at("email").as_string()}];
      EXPECT_EQ(holder, "") << "shares its email: " << held.json;
      holder = id;
    }
  }
  for (const auto& [email, holder] : holders) {
    const json::value list = http.get("/api/v1/contacts?email=" + email).json();
    std::string found;
    for (const json::value& contact : list.at("data").as_array()) {
      found += contact.at("id").as_string();
    }
    EXPECT_EQ(found, holder) << "has " << email;
  }
}

void Fleet::expect_log_agrees(Ended ended) {
  for (const ServerProcess* server : servers_) {
    const Replay replayed = replay(server->data_dir(), ended, kafka_);
    EXPECT_EQ(replayed.difference.value_or("none"), "none");
    if (server == servers_.front()) expect_logged(replayed);
  }
}

void Fleet::expect_logged(const Replay& replayed) {
  std::cout << "log: " << replayed.changes.size() << " changes applied, " << replayed.not_applied
            << " events not applied\n";
  std::map<std::string, LoggedChange> by_request;
  for (const LoggedChange& change : replayed.changes) {
    EXPECT_TRUE(by_request.emplace(change.request_id, change).second)
        << change.request_id << " is in the log twice";
  }
  for (const Client& client : clients_) {
    for (const auto& [request, expected] : client.ledger().logged()) {
      const auto found = by_request.find(request);
      if (found == by_request.end()) {
        ADD_FAILURE() << request << " was answered and isn't in the log";
        continue;
      }
      EXPECT_EQ(found->second.version, expected.version) << request;
      if (expected.version > 0) {
        EXPECT_EQ(found->second.contact, expected.contact) << request;
      }
    }
    for (const std::string& request : client.ledger().not_logged()) {
      EXPECT_FALSE(by_request.contains(request)) << request << " changed nothing but is logged";
    }
  }
}

std::uint64_t crash_seed() {
  const char* const given = std::getenv("CONTACTD_CRASH_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "CONTACTD_CRASH_SEED=" << seed << '\n';
  return seed;
}

}  // namespace contactd::test
