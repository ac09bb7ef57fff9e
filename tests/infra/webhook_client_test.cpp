#include "infra/webhook_client.hpp"

#include <gtest/gtest.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <future>
#include <list>
#include <thread>
#include <utility>

// The client's connections: names that lead to several addresses, of which some don't answer.
namespace contactd::infra {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using error_code = boost::system::error_code;

// Far more than a delivery takes; only a failure waits for it.
constexpr std::chrono::milliseconds delivery_wait_max{15'000};

tcp::endpoint loopback(unsigned last, std::uint16_t port) {
  return {asio::ip::address_v4{0x7f000000U + last}, port};
}

// Takes every connection to 127.0.0.1 and answers the same, whatever comes.
class Endpoint {
 public:
  explicit Endpoint(std::string answer = "HTTP/1.1 204 No Content\r\n\r\n")
      : answer_(std::move(answer)) {
    accept();
    thread_ = std::thread{[this] { io_.run(); }};
  }
  ~Endpoint() {
    io_.stop();
    thread_.join();
  }
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  // How the other side closed its only connection. Once.
  error_code end() { return end_.get_future().get(); }

 private:
  struct Taken {
    tcp::socket socket;
    std::array<char, 4'096> read{};
  };

  void accept() {
    acceptor_.async_accept([this](const error_code& ec, tcp::socket socket) {
      if (ec) return;
      Taken& taken = taken_.emplace_back(std::move(socket));
      error_code ignored;
      asio::write(taken.socket, asio::buffer(answer_), ignored);
      read(taken);
      accept();
    });
  }
  void read(Taken& taken) {
    taken.socket.async_read_some(asio::buffer(taken.read),
                                 [this, &taken](const error_code& ec, std::size_t) {
                                   if (!ec) return read(taken);
                                   if (!std::exchange(ended_, true)) end_.set_value(ec);
                                 });
  }

  const std::string answer_;
  std::promise<error_code> end_;
  bool ended_ = false;
  asio::io_context io_;
  tcp::acceptor acceptor_{io_, loopback(1, 0)};
  std::list<Taken> taken_;  // open, or what wasn't read of them would cut the answer off
  std::thread thread_;      // last: it touches all of the above
};

// An address that answers nothing, as behind a filter: so many wait there to be taken that the
// system passes over all that comes.
class SilentAddress {
 public:
  explicit SilentAddress(const tcp::endpoint& address) : acceptor_(io_) {
    acceptor_.open(address.protocol());
    acceptor_.bind(address);
    acceptor_.listen(0);
    constexpr int more_than_fit = 4;
    for (int i = 0; i < more_than_fit; ++i) {
      // Begins at once; nobody runs what would tell the outcome.
      waiting_.emplace_back(io_).async_connect(address, [](const error_code&) {});
    }
  }

 private:
  asio::io_context io_;
  tcp::acceptor acceptor_;
  std::list<tcp::socket> waiting_;
};

// What comes of a message to a name that leads to these addresses.
SendResult send(std::uint16_t port, const std::vector<std::string>& addresses,
                const WebhookClient::Settings& settings = {true, delivery_wait_max,
                                                           delivery_wait_max}) {
  WebhookClient client{settings, [addresses](const std::string&) {
                         NameResolver::Addresses found;
                         for (const std::string& address : addresses) {
                           found.push_back(asio::ip::make_address(address));
                         }
                         return found;
                       }};
  std::promise<SendResult> result;
  client.send({WebhookUrl{false, "x.test", std::to_string(port), "x.test", "/"}, {}, "{}"},
              [&](const SendResult& came) { result.set_value(came); });
  return result.get_future().get();
}

TEST(WebhookClient, ReachesTheNextAddressWhereOneIsSilent) {
  const Endpoint endpoint;
  const SilentAddress silent{loopback(2, endpoint.port())};
  EXPECT_EQ(send(endpoint.port(), {"127.0.0.2", "127.0.0.1"}).status, 204);
}

TEST(WebhookClient, ReachesTheNextAddressWhereOneRefuses) {
  const Endpoint endpoint;
  EXPECT_EQ(send(endpoint.port(), {"127.0.0.2", "127.0.0.1"}).status, 204);
}

TEST(WebhookClient, ReachesTheOtherFamilyHoweverManyOfTheFirstAreSilent) {
  const Endpoint endpoint;
  std::list<SilentAddress> silent;
  for (unsigned last = 2; last <= 6; ++last) silent.emplace_back(loopback(last, endpoint.port()));
  // The last one takes a socket of IPv6, and leads to 127.0.0.1.
  EXPECT_EQ(send(endpoint.port(), {"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6",
                                   "::ffff:127.0.0.1"})
                .status,
            204);
}

TEST(WebhookClient, EndsAtItsDeadlineWhereAllAreSilent) {
  const Endpoint endpoint;  // whose port nobody else has, then
  const SilentAddress first{loopback(2, endpoint.port())};
  const SilentAddress second{loopback(3, endpoint.port())};
  const SendResult result =
      send(endpoint.port(), {"127.0.0.2", "127.0.0.3"}, {true, std::chrono::milliseconds{400}});
  EXPECT_EQ(result.failure, SendFailure::timeout);
}

TEST(WebhookClient, HasNoConnectionWhereAllRefuse) {
  const Endpoint endpoint;
  const SendResult result = send(endpoint.port(), {"127.0.0.2", "127.0.0.3"});
  EXPECT_EQ(result.failure, SendFailure::no_connection);
}

TEST(WebhookClient, AsksNoPrivateAddressThatANameLeadsTo) {
  const Endpoint endpoint;
  const SendResult result = send(endpoint.port(), {"127.0.0.1"}, {false, delivery_wait_max});
  EXPECT_EQ(result.failure, SendFailure::private_address);
}

TEST(WebhookClient, LetsTheOtherSideWriteItsAnswer) {
  const std::string body(48'000, 'x');
  Endpoint endpoint{"HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) +
                    "\r\n\r\n" + body};
  EXPECT_EQ(send(endpoint.port(), {"127.0.0.1"}).status, 200);
  EXPECT_EQ(endpoint.end(), asio::error::eof);  // else: the connection was reset
}

TEST(WebhookClient, TakesAnAnswerThatIsTooLong) {
  const Endpoint endpoint{"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" +
                          std::string(100'000, 'x')};
  EXPECT_EQ(send(endpoint.port(), {"127.0.0.1"}).status, 200);
}

TEST(WebhookClient, TakesAnAnswerWhoseEndDoesNotCome) {
  const Endpoint endpoint{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx"};
  const WebhookClient::Settings impatient{true, delivery_wait_max, std::chrono::milliseconds{1}};
  EXPECT_EQ(send(endpoint.port(), {"127.0.0.1"}, impatient).status, 200);
}

TEST(WebhookClient, TellsHowLongTheOtherSideAsksToWait) {
  const auto asked = [](const std::string& status) {
    const Endpoint endpoint{"HTTP/1.1 " + status +
                            " X\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n"};
    return send(endpoint.port(), {"127.0.0.1"}).retry_after;
  };
  EXPECT_EQ(asked("429"), std::chrono::seconds{120});
  EXPECT_EQ(asked("503"), std::chrono::seconds{120});
  EXPECT_EQ(asked("500"), std::nullopt);
}

}  // namespace
}  // namespace contactd::infra
