// How soon a server that was killed is healthy again where the log is long.
//
// CONTACTD_LONG_LOG_EVENTS says how long (the full run: 1000000).

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <vector>

#include "infra/embedded_event_log.hpp"
#include "tests/domain/samples.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/server_process.hpp"

namespace contactd::test {
namespace {

constexpr std::uint64_t events_quick = 20'000;
constexpr std::uint64_t updates_of_one = 9;  // after its creation
constexpr std::uint64_t batch_events = 1000;

domain::ContactId contact_number(std::uint64_t number) {
  return contact_id("c" + std::to_string(number) + "x");
}

domain::Event event_number(std::uint64_t number) {
  const std::uint64_t version = number % (updates_of_one + 1) + 1;
  const domain::ContactId contact = contact_number(number / (updates_of_one + 1));
  const auto title = [](std::uint64_t of) { return "title " + std::to_string(of); };
  if (version == 1) {
    auto created = test::created(contact, contact.str() + "@example.com");
    created.changes.push_back(first(domain::Field::job_title, title(1)));
    return created;
  }
  return domain::ContactUpdated{
      contact, version, {change(domain::Field::job_title, title(version - 1), title(version))}};
}

// As a writer would have, a batch at a time.
void write_log(const std::filesystem::path& directory, std::uint64_t count) {
  const auto log = infra::open_embedded_event_log(directory);
  domain::RecordedEvent event;
  event.time = noon;
  event.actor = "contactd";
  event.event = domain::WriterClaimed{"writer"};
  const infra::Claim claim = log->claim(0, event);
  event.organization = org("acme");
  event.actor = "key1";
  for (std::uint64_t number = 0; number < count;) {
    std::vector<domain::RecordedEvent> batch;
    for (; number < count && batch.size() < batch_events; ++number) {
      event.id = domain::EventId::from(noon.unix_ms, {number, number});
      event.request_id = "request" + std::to_string(number);
      event.stamp = {claim.epoch, number + 1};
      event.event = event_number(number);
      batch.push_back(event);
    }
    ASSERT_EQ(log->append(claim, batch), infra::AppendResult::committed);
  }
}

std::int64_t start_ms(ServerProcess& server) {
  const auto started = std::chrono::steady_clock::now();
  server.start();
  HttpClient http{server.port()};
  EXPECT_EQ(http.request("GET", "/readyz").status, 200U);
  const auto passed = std::chrono::steady_clock::now() - started;
  return std::chrono::duration_cast<std::chrono::milliseconds>(passed).count();
}

TEST(LongLog, DoesNotKeepAServerThatWasKilledFromServing) {
  const char* const given = std::getenv("CONTACTD_LONG_LOG_EVENTS");
  const std::uint64_t count = given != nullptr ? std::strtoull(given, nullptr, 10) : events_quick;
  ServerProcess server;
  ASSERT_EQ(server.stop(), exited(0));
  std::filesystem::remove_all(server.data_dir());
  write_log(server.data_dir() / "log", count);
  std::cout << count << " events: ready after " << start_ms(server) << " ms, all of them folded";
  server.kill();
  std::cout << "; killed: ready again after " << start_ms(server) << " ms";
  server.kill();
  std::cout << "; and once more: " << start_ms(server) << " ms\n";
  EXPECT_EQ(server.stop(), exited(0));
}

}  // namespace
}  // namespace contactd::test
