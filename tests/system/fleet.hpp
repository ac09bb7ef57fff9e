#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/server_process.hpp"
#include "tests/system/client.hpp"
#include "tests/system/replay.hpp"

namespace contactd::test {

// Clients of one organization that all change contacts at once, and the check that the server and
// its log have kept every promise that it made to them.
class Fleet {
 public:
  // Makes the organization's key.
  Fleet(ServerProcess& server, std::uint64_t seed);

  // Runs all clients until `answers` came, calls `disturb`, and waits for the clients' end.
  void load(std::uint64_t answers, const std::function<void()>& disturb);

  // See Client::settle().
  void settle();

  // The server's answers are exactly what was promised: each contact, each list, each email.
  void expect_promises_kept();
  // So is the log of the server, which doesn't run: each change once, refusals never; and the
  // projections are what the log makes.
  void expect_log_agrees(Ended ended);

  const std::vector<Client>& clients() const { return clients_; }
  void expect_no_complaints() const;

 private:
  void expect_list(HttpClient& http);
  void expect_contacts(HttpClient& http);
  void expect_emails(HttpClient& http);

  ServerProcess& server_;
  std::string api_key_;
  std::vector<Client> clients_;
};

// CONTACTD_CRASH_SEED, or a new one; printed, so that a failure can be told from.
std::uint64_t crash_seed();

}  // namespace contactd::test
