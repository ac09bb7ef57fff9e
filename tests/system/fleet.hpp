#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "infra/kafka_config.hpp"
#include "tests/support/server_process.hpp"
#include "tests/system/client.hpp"
#include "tests/system/patient_client.hpp"
#include "tests/system/replay.hpp"

namespace contactd::test {

inline constexpr std::string_view fleet_organization = "crash";

// Clients of one organization that all change contacts at once, and the check that the servers and
// their log have kept every promise that was made to them.
class Fleet {
 public:
  // Makes the organization's key. Several servers share a log on Kafka and have one admin key. Each
  // server has clients of its own, its crew.
  Fleet(std::vector<ServerProcess*> servers, std::uint64_t seed,
        std::optional<infra::KafkaConfig> kafka = std::nullopt);
  Fleet(ServerProcess& server, std::uint64_t seed) : Fleet({&server}, seed) {}

  // Runs a server's crew until `answers` came, calls `disturb`, and waits for the clients' end.
  void load(std::uint64_t answers, const std::function<void()>& disturb) {
    load(0, answers, disturb);
  }
  void load(std::size_t server, std::uint64_t answers, const std::function<void()>& disturb);

  // See Client::settle(). Prints how the unanswered requests ended, and how long it took until one
  // was taken again.
  void settle();

  // The servers' answers are exactly what was promised: each contact, each list, each email.
  void expect_promises_kept();
  // So is the log of the servers, none of which runs: each change once, refusals never; and the
  // projections are what the log makes.
  void expect_log_agrees(Ended ended);

  // How many changes were acknowledged so far.
  std::uint64_t acknowledged() const;

  const std::vector<Client>& clients() const { return clients_; }
  void expect_no_complaints() const;
  const std::string& api_key() const { return api_key_; }
  // A client of all the servers as they are now.
  PatientClient patient_client() const;

 private:
  void expect_list(PatientClient& http);
  void expect_contacts(PatientClient& http);
  void expect_emails(PatientClient& http);
  void expect_logged(const Replay& replayed);

  const std::vector<ServerProcess*> servers_;
  const std::optional<infra::KafkaConfig> kafka_;
  const std::size_t crew_;  // clients of one server
  std::string api_key_;
  std::vector<Client> clients_;
};

// CONTACTD_CRASH_SEED, or a new one; printed, so that a failure can be told from.
std::uint64_t crash_seed();

}  // namespace contactd::test
