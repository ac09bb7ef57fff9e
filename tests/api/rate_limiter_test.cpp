#include "api/rate_limiter.hpp"

#include <gtest/gtest.h>

#include "api/client_network.hpp"

namespace contactd::api {
namespace {

using std::chrono::seconds;

constexpr RateLimiter::Time start{};

// Of a request that is to be counted.
RateLimiter::Verdict counted(RateLimiter& limiter, std::string_view client, RateLimiter::Time now) {
  const auto verdict = limiter.count(client, now);
  EXPECT_TRUE(verdict.has_value());
  return verdict.value_or(RateLimiter::Verdict{});
}

TEST(RateLimiter, CountsEachClientInWindowsOfItsOwn) {
  RateLimiter limiter{2, seconds{60}};
  EXPECT_EQ(counted(limiter, "a", start).remaining, 1U);
  EXPECT_TRUE(counted(limiter, "a", start + seconds{1}).allowed);
  const auto refused = counted(limiter, "a", start + seconds{20});
  EXPECT_FALSE(refused.allowed);
  EXPECT_EQ(refused.reset_seconds, 40U);
  EXPECT_TRUE(counted(limiter, "b", start + seconds{20}).allowed);
  EXPECT_EQ(counted(limiter, "a", start + seconds{60}).remaining, 1U);
}

TEST(RateLimiter, WhenFullGoesOnCountingThoseThatItKnows) {
  RateLimiter limiter{1, seconds{60}, 2};
  EXPECT_TRUE(counted(limiter, "a", start).allowed);
  EXPECT_TRUE(counted(limiter, "b", start + seconds{30}).allowed);
  // Nothing is known of c that it could be told.
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(limiter.count("c", start + seconds{31}).has_value());
  EXPECT_FALSE(counted(limiter, "a", start + seconds{31}).allowed);
  EXPECT_FALSE(counted(limiter, "b", start + seconds{31}).allowed);
}

TEST(RateLimiter, WhenFullForgetsThoseWhoseWindowIsOver) {
  RateLimiter limiter{1, seconds{60}, 2};
  limiter.count("a", start);
  limiter.count("b", start + seconds{30});
  limiter.count("c", start + seconds{30});
  EXPECT_TRUE(counted(limiter, "c", start + seconds{61}).allowed);
  EXPECT_FALSE(counted(limiter, "c", start + seconds{61}).allowed);
  EXPECT_FALSE(counted(limiter, "b", start + seconds{61}).allowed);
}

TEST(ClientNetwork, IsAnIpv4AddressOrTheFirstHalfOfAnIpv6One) {
  for (const auto& [address, network] :
       {std::pair{"192.0.2.7", "192.0.2.7"}, std::pair{"::ffff:192.0.2.7", "192.0.2.7"},
        std::pair{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
        std::pair{"2001:db8:1:2::", "2001:db8:1:2::"},
        std::pair{"2001:db8:1:3::1", "2001:db8:1:3::"}, std::pair{"::1", "::"}}) {
    EXPECT_EQ(client_network(boost::asio::ip::make_address(address)).to_string(), network);
  }
}

}  // namespace
}  // namespace contactd::api
