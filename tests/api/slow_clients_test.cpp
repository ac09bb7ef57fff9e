#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <vector>

#include "tests/api/large_patch.hpp"
#include "tests/support/api_fixture.hpp"
#include "tests/support/eventually.hpp"

// Clients that send or take as slowly as they can, to keep connections from others.
namespace contactd::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// What a slow client has in mind: to send `bytes` at once, then a byte every now and then.
struct Kind {
  std::string first;
  bool drips;
};

constexpr milliseconds drip_pause{100};
// By when the last slow connection must have been closed, whatever its kind.
constexpr std::chrono::seconds all_closed_max{60};

std::size_t slow_connections() {
  const char* const given = std::getenv("CONTACTD_SLOW_CONNECTIONS");
  return given == nullptr ? 60 : static_cast<std::size_t>(std::stoul(given));
}

class SlowClients : public ApiTest {
 protected:
  static std::vector<Kind> kinds(const ApiUser& holder) {
    const std::string head = "PATCH " + contact_path("AbCdEfGhIjKlMnOpQrSt") +
                             " HTTP/1.1\r\nHost: x\r\nX-API-KEY: " + holder.key() + "\r\n";
    return {{"", false},
            {"G", true},
            {"GET /healthz HTTP/1.1\r\nHost: x\r\n", true},
            {head + "Content-Length: 200000\r\n\r\n{", true},
            {head + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;", true}};
  }
};

struct Slow {
  RawConnection connection;
  bool drips;
  bool closed = false;
};

// Sends a byte more on each, looks which the server has closed, and returns how many are open.
std::size_t drip(std::vector<Slow>& all) {
  std::size_t open = 0;
  for (Slow& slow : all) {
    if (slow.closed) continue;
    std::string received;
    if (slow.drips) slow.closed = !slow.connection.send("x");
    while (!slow.closed) {
      const auto read = slow.connection.read_some(received, milliseconds{0});
      if (read == RawConnection::Read::timed_out) break;
      slow.closed = read == RawConnection::Read::closed;
    }
    if (!slow.closed) ++open;
  }
  return open;
}

std::chrono::microseconds percentile_99(std::vector<std::chrono::microseconds> all) {
  std::sort(all.begin(), all.end());
  return all.empty() ? std::chrono::microseconds{0} : all[all.size() * 99 / 100];
}

// With the server's own time-outs; `./dev test` has fewer of them than the full run of 300.
TEST_F(SlowClients, AreAllClosedWithinAMinuteWhileOthersAreServed) {
  ServerProcess server;
  ApiUser holder = given_user(server);
  const Contact ann = holder.given_contact();
  const std::vector<Kind> all_kinds = kinds(holder);
  std::vector<Slow> slow;
  for (std::size_t i = 0; i < slow_connections(); ++i) {
    const Kind& kind = all_kinds[i % all_kinds.size()];
    slow.push_back({RawConnection{server.port()}, kind.drips});
    slow.back().connection.send(kind.first);
  }
  std::vector<std::chrono::microseconds> meanwhile;
  const auto started = steady_clock::now();
  std::size_t open = slow.size();
  auto next_drip = started;
  while (open > 0 && steady_clock::now() - started < all_closed_max) {
    const auto sent = steady_clock::now();
    holder.patch(ann.id, R"({"company": ")" + std::to_string(meanwhile.size()) + "\"}").then(200);
    meanwhile.push_back(
        std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - sent));
    if (sent < next_drip) continue;
    next_drip = sent + drip_pause;
    open = drip(slow);
  }
  EXPECT_EQ(open, 0U) << "of " << slow.size();
  const auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - started);
  std::cout << slow.size() << " slow connections: the last was closed after " << took.count()
            << " ms; meanwhile " << meanwhile.size() << " changes of another client, p99 "
            << percentile_99(meanwhile).count() << " us\n";
}

TEST_F(SlowClients, ABodyThatDripsIs408LongBeforeItsTimeout) {
  // Longer than the test may take: it is the rate that ends it.
  ServerProcess server{{{"--request-timeout-ms", "3600000"}, {}}};
  RawConnection connection{server.port()};
  connection.send("POST /api/v1/contacts HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n");
  std::string received;
  const auto started = steady_clock::now();
  while (received.empty() && steady_clock::now() - started < all_closed_max) {
    connection.send("x");
    connection.read_some(received, drip_pause);
  }
  EXPECT_TRUE(received.starts_with("HTTP/1.1 408 ")) << received;
}

TEST_F(SlowClients, WhoDoesNotTakeAnAnswerIsCutOff) {
  ServerProcess server{{{"--request-timeout-ms", "500"}, {}}};
  ApiUser holder = given_user(server);
  const std::string filler(1000, 'x');
  for (int i = 0; i < 200; ++i) {
    holder.given_contact(R"({"company": ")" + filler + R"(", "location": ")" + filler + "\"}");
  }
  RawConnection connection{server.port()};
  const std::string request =
      "GET /api/v1/contacts?page_size=200 HTTP/1.1\r\nHost: x\r\nX-API-KEY: " + holder.key() +
      "\r\n\r\n";
  // Until neither side's buffers take more.
  std::string many;
  for (int i = 0; i < 100; ++i) many += request;
  while (connection.send(many)) {
  }
  EXPECT_TRUE(connection.read_until_close().closed);
  holder.list("page_size=1").then(200);
}

// Each answer is held until its client has read it, which costs memory.
TEST_F(SlowClients, WhoAskForMuchAndDoNotReadAreRefusedMoreAndNobodyElseIs) {
  // Longer than the test may take: what is held is let go because the clients have gone.
  ServerProcess server{{{"--request-timeout-ms", "3600000"}, {}}};
  ApiUser holder = given_user(server);
  ApiUser other = given_user(server);
  constexpr std::size_t count = 200;  // of 76 kB each: four pages of 15 MB fit, and a fifth doesn't
  for (std::size_t i = 0; i < count; ++i) holder.given_contact(large_patch(large_characters[0]));
  other.given_contact(large_patch(large_characters[1]));
  const std::string all = "page_size=200";

  std::vector<RawConnection> unread;
  for (int i = 0; i < 4; ++i) {
    unread.emplace_back(server.port());
    unread.back().send("GET /api/v1/contacts?" + all +
                       " HTTP/1.1\r\nHost: x\r\nX-API-KEY: " + holder.key() + "\r\n\r\n");
    EXPECT_TRUE(unread.back().read_until("\r\n").starts_with("HTTP/1.1 200 "));
  }

  for (int i = 0; i < 3; ++i) {
    holder.list(all).then(503).with_header("Retry-After").with_error_naming("read those");
  }
  holder.list("page_size=200&cursor=").then(200);
  holder.list("page=201&page_size=1").then(200);
  other.list(all).then(200);
  unread.pop_back();
  EXPECT_TRUE(
      eventually([&] { return holder.send("GET", "/api/v1/contacts?" + all).status() == 200; },
                 all_closed_max));
}

TEST_F(SlowClients, AnAddressMayHaveOnlySoManyConnections) {
  ServerProcess server{{{"--max-connections-per-address", "3"}, {}}};
  const std::string request = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
  std::vector<RawConnection> open;
  for (int i = 0; i < 3; ++i) {
    open.emplace_back(server.port());
    open.back().send(request);
    EXPECT_EQ(ResponseReader{open.back()}.read().status, 200U);
  }
  const Response refused = send_raw(server.port(), request);
  EXPECT_EQ(refused.status, 503U);
  EXPECT_TRUE(refused.header("Retry-After"));
  open.pop_back();
  constexpr int tries_max = 100'000;
  unsigned status = 503;
  for (int i = 0; i < tries_max && status == 503; ++i) {
    status = send_raw(server.port(), request).status;
  }
  EXPECT_EQ(status, 200U);
}

}  // namespace
}  // namespace contactd::test
