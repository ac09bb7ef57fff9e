// Histories of concurrent requests against the real server, which is killed in the midst of them:
// each contact behaves as if its requests had come one after the other, and no email address ever
// has two holders.
//
// CONTACTD_HISTORY_OPERATIONS, CONTACTD_HISTORY_RACES: how many (the full run: 100000 and 1000).
// CONTACTD_HISTORY_FILE: where to leave the contacts' history for porcupine.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <thread>

#include "tests/support/eventually.hpp"
#include "tests/system/fleet.hpp"
#include "tests/system/linearizability.hpp"

namespace contactd::test {
namespace {

namespace json = boost::json;
using Output = ContactModel::Output;
using ContactHistory = std::vector<Recorded<ContactModel::Operation>>;
using EmailHistory = std::vector<Recorded<EmailModel::Operation>>;

constexpr std::uint64_t operations_quick = 6000;
constexpr std::uint64_t races_quick = 60;
constexpr std::size_t clients = 16;
constexpr std::size_t contacts = 24;
constexpr std::uint64_t operations_between_kills = 2500;
constexpr std::uint64_t races_between_kills = 25;
constexpr int remove_once_in = 3000;
constexpr std::chrono::seconds answers_wait_max{120};

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* const given = std::getenv(variable);
  return given != nullptr ? std::strtoull(given, nullptr, 10) : otherwise;
}

std::int64_t now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds{1};
}

template <class Operation>
void sort_by_call(std::vector<Recorded<Operation>>& history) {
  std::sort(history.begin(), history.end(),
            [](const auto& a, const auto& b) { return a.called_ns < b.called_ns; });
}

// The server, a key, and contacts to change.
class Histories : public testing::Test {
 protected:
  Histories() {
    PatientClient http{{server_.port()}, server_.admin_key()};
    const Response made = http.request(
        "POST", "/admin/v1/keys", {},
        R"({"organization":"history","name":"history","scopes":{"contacts":"write"}})");
    api_key_ = std::string{made.json().at("data").at("key").as_string()};
  }

  std::string new_contact() {
    PatientClient http{{server_.port()}, api_key_};
    const Response response = http.request("POST", "/api/v1/contacts",
                                           {{"Idempotency-Key", recorded_refusal_key()}}, "{}");
    return std::string{response.json().at("data").at("id").as_string()};
  }

  // Sends a request. Nothing: it got no answer that says what became of it.
  std::optional<Response> send(HttpClient& http, std::string_view method,
                               const std::string& contact, Headers headers,
                               const std::optional<std::string>& body) const {
    headers.emplace_back("X-API-KEY", api_key_);
    try {
      Response response = http.request(method, "/api/v1/contacts/" + contact, headers, body);
      if (response.status != 503) return response;
    } catch (const std::exception&) {
      // The server was killed.
    }
    return std::nullopt;
  }

  ServerProcess server_;
  std::string api_key_;
};

ContactModel::Operation outcome_of(ContactModel::Operation operation,
                                   const std::optional<Response>& response) {
  if (!response) return operation;
  switch (response->status) {
    case 404:
      operation.output = Output::not_found;
      return operation;
    case 412:
      operation.output = Output::precondition_failed;
      return operation;
    case 200:
      operation.output = Output::done;
      break;
    default:
      ADD_FAILURE() << response->status << ' ' << response->body;
      return operation;
  }
  if (operation.kind == ContactModel::Kind::remove) return operation;
  const auto held = held_in(*response);
  const json::value title = response->json().at("data").at("job_title");
  operation.version = held ? held->version : 0;
  operation.answered = title.is_string() ? std::string{title.as_string()} : "";
  return operation;
}

class ContactHistories : public Histories {
 protected:
  // A client's requests until it is told to stop or one gets no answer.
  void run_client(std::size_t number, std::uint64_t round, std::uint64_t operations) {
    std::mt19937_64 random{seed_ + round * clients + number};
    HttpClient http{server_.port()};
    std::map<std::string, std::uint64_t> versions;  // as seen last
    while (count_ < operations && !stopped_) {
      const std::string& contact = ids_[random() % ids_.size()];
      ContactModel::Operation operation = choose(random, versions[contact]);
      Headers headers;
      if (operation.if_match != 0) {
        headers.emplace_back("If-Match", '"' + std::to_string(operation.if_match) + '"');
      }
      Recorded<ContactModel::Operation> recorded;
      recorded.called_ns = now_ns();
      const auto response = send(http, method_of(operation.kind), contact, headers,
                                 operation.kind == ContactModel::Kind::set_title
                                     ? std::optional{R"({"job_title":")" + operation.title + "\"}"}
                                     : std::nullopt);
      recorded.operation = outcome_of(std::move(operation), response);
      if (recorded.operation.output != ContactModel::Output::unknown) {
        recorded.returned_ns = now_ns();
      }
      if (recorded.operation.version != 0) versions[contact] = recorded.operation.version;
      // A read that wasn't answered says nothing.
      const std::lock_guard lock{mutex_};
      if (response || recorded.operation.kind != ContactModel::Kind::get) {
        histories_[contact].push_back(std::move(recorded));
      }
      ++count_;
      if (!response) return;
    }
  }

  ContactModel::Operation choose(std::mt19937_64& random, std::uint64_t seen) {
    ContactModel::Operation operation;
    if (random() % remove_once_in == 0) {
      operation.kind = ContactModel::Kind::remove;
    } else if (random() % 2 == 0) {
      operation.kind = ContactModel::Kind::set_title;
      operation.title = "t" + std::to_string(++titles_);
      if (random() % 3 == 0) operation.if_match = seen;
    }
    return operation;
  }

  static std::string_view method_of(ContactModel::Kind kind) {
    switch (kind) {
      case ContactModel::Kind::get:
        return "GET";
      case ContactModel::Kind::set_title:
        return "PATCH";
      case ContactModel::Kind::remove:
        return "DELETE";
    }
    std::abort();
  }

  void leave_for_porcupine() const {
    const char* const path = std::getenv("CONTACTD_HISTORY_FILE");
    if (path == nullptr) return;
    std::ofstream file{path};
    for (const auto& [contact, history] : histories_) {
      for (const auto& one : history) {
        file << json::serialize(json::object{{"contact", contact},
                                             {"called", one.called_ns},
                                             {"returned", one.returned_ns},
                                             {"kind", static_cast<int>(one.operation.kind)},
                                             {"title", one.operation.title},
                                             {"if_match", one.operation.if_match},
                                             {"output", static_cast<int>(one.operation.output)},
                                             {"version", one.operation.version},
                                             {"answered", one.operation.answered}})
             << '\n';
      }
    }
  }

  const std::uint64_t seed_ = crash_seed();
  std::vector<std::string> ids_;
  std::atomic<std::uint64_t> count_ = 0;
  std::atomic<std::uint64_t> titles_ = 0;
  std::atomic<bool> stopped_ = false;
  std::mutex mutex_;
  std::map<std::string, ContactHistory> histories_;
};

TEST_F(ContactHistories, AreAsIfOneRequestFollowedTheOther) {
  const std::uint64_t operations = number_from("CONTACTD_HISTORY_OPERATIONS", operations_quick);
  for (std::size_t i = 0; i < contacts; ++i) ids_.push_back(new_contact());
  int kills = 0;
  for (std::uint64_t round = 0; count_ < operations && !HasFailure(); ++round) {
    const std::uint64_t until = std::min(operations, count_ + operations_between_kills);
    std::vector<std::jthread> threads;
    threads.reserve(clients);
    for (std::size_t number = 0; number < clients; ++number) {
      threads.emplace_back(
          [this, number, round, operations] { run_client(number, round, operations); });
    }
    EXPECT_TRUE(eventually([&] { return count_ >= until; }, answers_wait_max));
    server_.kill();
    ++kills;
    threads.clear();
    server_.start();
  }
  std::size_t unknown = 0;
  for (auto& [contact, history] : histories_) {
    sort_by_call(history);
    unknown +=
        static_cast<std::size_t>(std::count_if(history.begin(), history.end(), [](const auto& one) {
          return one.returned_ns == never_returned;
        }));
    EXPECT_TRUE(LinearizabilityCheck<ContactModel>{history}.holds()) << contact;
  }
  std::cout << count_ << " operations on " << contacts << " contacts, " << kills << " kills, "
            << unknown << " of unknown outcome\n";
  leave_for_porcupine();
}

class EmailRaces : public Histories {};

TEST_F(EmailRaces, HaveOneWinner) {
  const std::uint64_t races = number_from("CONTACTD_HISTORY_RACES", races_quick);
  std::vector<std::string> ids(clients);
  for (std::string& id : ids) id = new_contact();
  std::vector<EmailHistory> histories(races);
  std::size_t unknown = 0;
  std::mutex mutex;
  for (std::uint64_t first = 0; first < races; first += races_between_kills) {
    const std::uint64_t end = std::min(races, first + races_between_kills);
    std::atomic<std::uint64_t> done = 0;
    std::barrier at_the_start{static_cast<std::ptrdiff_t>(clients)};
    std::vector<std::jthread> threads;
    threads.reserve(ids.size());
    for (const std::string& contact : ids) {
      threads.emplace_back([&, contact] {
        HttpClient http{server_.port()};
        for (std::uint64_t race = first; race < end; ++race) {
          at_the_start.arrive_and_wait();
          Recorded<EmailModel::Operation> recorded;
          recorded.operation.contact = contact;
          recorded.called_ns = now_ns();
          const auto response =
              send(http, "PATCH", contact, {},
                   R"({"email":"race-)" + std::to_string(race) + R"(@example.com"})");
          if (response) recorded.returned_ns = now_ns();
          if (response && response->status == 200) {
            recorded.operation.output = EmailModel::Output::taken;
          } else if (response && response->status == 409) {
            recorded.operation.output = EmailModel::Output::conflict;
            recorded.operation.holder = std::string{response->json().at("contact_id").as_string()};
          } else if (response) {
            ADD_FAILURE() << response->status << ' ' << response->body;
          }
          const std::lock_guard lock{mutex};
          if (!response) ++unknown;
          histories[race].push_back(recorded);
          ++done;
        }
      });
    }
    // In the midst of the last race but one.
    const std::uint64_t kill_at = (end - first - 1) * clients - clients / 2;
    EXPECT_TRUE(eventually([&] { return done >= kill_at; }, answers_wait_max));
    server_.kill();
    threads.clear();
    server_.start();
  }
  std::size_t winners = 0;
  for (std::uint64_t race = 0; race < races; ++race) {
    sort_by_call(histories[race]);
    for (const auto& one : histories[race]) {
      if (one.operation.output == EmailModel::Output::taken) ++winners;
    }
    EXPECT_TRUE(LinearizabilityCheck<EmailModel>{histories[race]}.holds()) << "race " << race;
  }
  std::cout << races << " races, " << winners << " winners, " << unknown
            << " requests of unknown outcome\n";
  EXPECT_LE(winners, races);
}

}  // namespace
}  // namespace contactd::test
