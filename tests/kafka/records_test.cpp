#include <gtest/gtest.h>

#include "infra/cloud_event.hpp"
#include "infra/errors.hpp"
#include "infra/projector.hpp"
#include "infra/read_store.hpp"
#include "tests/kafka/topic_admin.hpp"
#include "tests/kafka/topic_under_test.hpp"
#include "tests/projections/log_builder.hpp"
#include "tests/support/fold_rest.hpp"
#include "tests/support/temporary_directory.hpp"

// What stands on the topic beside the facts, and what the fold makes of it.
namespace contactd::test {
namespace {

using projections::Admission;

class KafkaRecords : public testing::Test {
 protected:
  static constexpr std::uint32_t partition = 0;

  infra::Claim claim() { return log_->claim(partition, claim_proposal("w", config_.partitions)); }
  static domain::RecordedEvent key_created(const infra::Claim& claim, std::uint64_t sequence) {
    return {domain::EventId::from(noon.unix_ms, {sequence, claim.epoch}),
            noon,
            org("acme"),
            "admin",
            "request",
            {},
            {claim.epoch, sequence},
            domain::ApiKeyCreated{"key" + std::to_string(sequence), "k", {}, {}}};
  }
  infra::AppendResult append(const infra::Claim& claim, std::uint64_t sequence) {
    return log_->append(claim, std::vector{key_created(claim, sequence)});
  }
  // Folds until `count` events have been told of; what each was admitted as.
  std::vector<Admission> fold(std::size_t count) {
    std::vector<Admission> admissions;
    fold_until(
        projector_, *log_, partition, [&] { return admissions.size() >= count; },
        [&](const auto&, const auto& result) { admissions.push_back(result.admission); });
    return admissions;
  }

  infra::KafkaConfig config_ = new_topic();
  infra::Metrics metrics_;
  std::unique_ptr<infra::EventLog> log_ = infra::open_kafka_event_log(config_, metrics_);
  TemporaryDirectory directory_;
  std::unique_ptr<infra::ReadStore> store_ = infra::open_read_store(directory_.path() / "store");
  infra::Projector projector_{partition, *log_, *store_, metrics_};
  TopicAdmin stranger_{config_};
};

TEST_F(KafkaRecords, OfAnAbortedTransactionAreNeverSeen) {
  const infra::Claim ours = claim();
  stranger_.write(partition, {infra::encode_cloud_event(key_created(ours, 1))}, false);
  ASSERT_EQ(append(ours, 1), infra::AppendResult::committed);
  EXPECT_EQ(fold(2), (std::vector{Admission::current, Admission::current}));
  EXPECT_EQ(metrics_.fold_out_of_sequence.Value(), 0);
}

TEST_F(KafkaRecords, OfOthersAreCountedAndPassedOver) {
  const infra::Claim ours = claim();
  stranger_.write(partition, {{"acme", {}, "hello"}, {"acme", {{"ce_type", "other"}}, "{}"}});
  ASSERT_EQ(append(ours, 1), infra::AppendResult::committed);
  EXPECT_EQ(fold(2), (std::vector{Admission::current, Admission::current}));
  EXPECT_EQ(metrics_.fold_foreign.Value(), 2);
}

TEST_F(KafkaRecords, OutOfSequenceOrOfAnEarlierClaimAreCountedAndNeverApplied) {
  const infra::Claim earlier = claim();
  const infra::Claim ours = claim();
  stranger_.write(partition, {infra::encode_cloud_event(key_created(earlier, 1)),
                              infra::encode_cloud_event(key_created(ours, 2))});
  ASSERT_EQ(append(ours, 1), infra::AppendResult::committed);
  stranger_.write(partition, {infra::encode_cloud_event(key_created(ours, 1))});
  EXPECT_EQ(fold(6), (std::vector{Admission::current, Admission::current, Admission::stale_claim,
                                  Admission::out_of_sequence, Admission::current,
                                  Admission::out_of_sequence}));
  EXPECT_EQ(metrics_.fold_stale_claim.Value(), 1);
  EXPECT_EQ(metrics_.fold_out_of_sequence.Value(), 2);
}

TEST_F(KafkaRecords, ThatCannotBeReadStopTheFold) {
  const infra::Claim ours = claim();
  infra::KafkaRecord broken = infra::encode_cloud_event(key_created(ours, 1));
  broken.value = "{";
  stranger_.write(partition, {broken});
  EXPECT_THROW(fold(2), projections::BrokenLog);
  EXPECT_EQ(store_->checkpoint(partition).next_offset, ours.epoch + 1);
  EXPECT_THROW(fold(2), projections::BrokenLog) << "a fold never skips";
}

}  // namespace
}  // namespace contactd::test
