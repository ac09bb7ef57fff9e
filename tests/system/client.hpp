#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/support/raw_connection.hpp"
#include "tests/system/change.hpp"
#include "tests/system/patient_client.hpp"

namespace contactd::test {

// Counts the answers of all clients and wakes who waits for a number of them.
class Progress {
 public:
  void count_answer();
  // Returns false if the number isn't reached in time.
  bool wait_for_answers(std::uint64_t number);
  // The clients send nothing more.
  void stop();
  bool stopped() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable reached_;
  std::uint64_t answers_ = 0;
  bool stopped_ = false;
};

// A client that changes contacts one request after the other, on one connection. The contacts are
// its own; a few email addresses are fought over with the other clients.
class Client {
 public:
  // How a request ended that got no answer.
  enum class End {
    closed,   // with nothing sent
    broken,   // within an answer, or with none for too long
    refused,  // it wasn't even connected
    unknown,  // 503: the server doesn't know, or took nothing
  };
  struct Unanswered {
    Change change;
    End end;
  };

  Client(int number, std::uint64_t seed);

  // Sends requests until told to stop, until one gets no answer, or until an answer is wrong.
  void run(std::uint16_t port, const std::string& api_key, Progress& progress);

  // Finds out, when the service has come back, what became of the unanswered request: sends it
  // again if it has an Idempotency-Key, else looks. Also repeats an older one that had a key.
  // REQUIRES: the unanswered request is in the log or never will be.
  void settle(PatientClient& servers);

  const std::optional<Unanswered>& unanswered() const { return unanswered_; }
  const Ledger& ledger() const { return ledger_; }
  // Every wrong answer.
  const std::vector<std::string>& complaints() const { return complaints_; }

 private:
  struct Keyed {
    Change change;
    unsigned status;
    std::string body;
  };

  Change next_change();
  Change create();
  Change update(const std::string& contact);
  std::string fresh(const std::string& prefix);
  bool chance(int percent);
  void note_answer(const Change& change, const Response& response);
  void settle_by_retry(PatientClient& servers);
  void settle_by_look(PatientClient& servers);
  void repeat_keyed(PatientClient& servers, const Keyed& keyed);

  const std::string name_;
  std::mt19937_64 random_;
  std::uint64_t serial_ = 0;
  Ledger ledger_;
  std::optional<Unanswered> unanswered_;
  std::optional<Keyed> last_keyed_;
  std::vector<std::string> complaints_;
};

// The addresses that all clients want.
std::string contested_email(int number);
inline constexpr int contested_emails = 16;

}  // namespace contactd::test
