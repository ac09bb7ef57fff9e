#include <gtest/gtest.h>

#include "infra/errors.hpp"
#include "tests/infra/event_log_conformance.hpp"
#include "tests/kafka/topic_under_test.hpp"

namespace contactd::test {
namespace {

domain::RecordedEvent revoked(const infra::Claim& claim, std::uint64_t sequence) {
  return {{},
          noon,
          org("acme"),
          "key1",
          "request",
          {},
          {claim.epoch, sequence},
          domain::ApiKeyRevoked{"k"}};
}

// With a broker of its own, which is stopped in the middle.
TEST(KafkaBrokerAway, AnAppendEndsInTimeAndAClaimAfterwardsSettlesIt) {
  KafkaBroker broker;
  infra::KafkaConfig config = new_topic();
  config.bootstrap = broker.bootstrap();
  infra::Metrics metrics;
  const auto log = infra::open_kafka_event_log(config, metrics);
  const infra::Claim claim = log->claim(0, claim_proposal());
  const std::vector batch{revoked(claim, 1), revoked(claim, 2)};
  ASSERT_EQ(log->append(claim, batch), infra::AppendResult::committed);
  const std::uint64_t before = log->end_offset(0);

  broker.pause();
  const infra::AppendResult cut = log->append(claim, batch);
  EXPECT_TRUE(cut == infra::AppendResult::unknown || cut == infra::AppendResult::refused);
  EXPECT_EQ(log->append(claim, batch), infra::AppendResult::fenced) << "the handle is gone";
  EXPECT_THROW(log->claim(0, claim_proposal()), infra::LogUnavailable);
  EXPECT_TRUE(log->read(0, before, 10).entries.empty()) << "nothing new, and no error";
  broker.resume();

  std::optional<infra::Claim> again;
  const auto deadline = std::chrono::steady_clock::now() + conformance_wait_max;
  while (!again) {
    try {
      again = log->claim(0, claim_proposal());
    } catch (const infra::LogUnavailable&) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    }
  }
  EXPECT_EQ(log->append(claim, batch), infra::AppendResult::fenced);
  EXPECT_EQ(log->append(*again, batch), infra::AppendResult::committed);
  // The batch whose fate was unknown is there as a whole or not at all, and before the new claim.
  std::size_t events = 0;
  for (std::uint64_t from = 0; from <= again->epoch;) {
    ASSERT_TRUE(log->wait(0, from, conformance_wait_max));
    const infra::LogSlice slice = log->read(0, from, 1);
    for (const auto& entry : slice.entries) {
      const auto& event = std::get<domain::RecordedEvent>(entry.record);
      if (std::holds_alternative<domain::ApiKeyRevoked>(event.event)) ++events;
    }
    from = slice.next_offset;
  }
  const bool may_be_there = cut == infra::AppendResult::unknown;
  EXPECT_TRUE(events == batch.size() || (may_be_there && events == 2 * batch.size())) << events;
}

}  // namespace
}  // namespace contactd::test
