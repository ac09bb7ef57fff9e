// Errors of a broker, injected into librdkafka's client by its own mock cluster. It has no fencing
// and no isolation, so that nothing is shown of those here: only that whatever the client reports,
// a batch is never said to be committed that isn't, and that the next claim goes on.

#include <gtest/gtest.h>
// clang-format off: the second needs the first
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
// clang-format on

#include <memory>
#include <vector>

#include "infra/errors.hpp"
#include "infra/kafka_reader.hpp"
#include "infra/kafka_writer.hpp"
#include "tests/projections/log_builder.hpp"

namespace contactd::test {
namespace {

using infra::AppendResult;

// The numbers of the requests in Kafka's protocol.
enum Api : std::int16_t {
  produce = 0,
  fetch = 1,
  init_producer = 22,
  add_partitions = 24,
  end = 26
};

constexpr auto topic = "contacts.mock";
// Longer than anything here takes on a machine that is busy; only a failure waits for it.
constexpr std::chrono::seconds injected_wait_max{60};

class MockCluster {
 public:
  MockCluster()
      : host_(rd_kafka_new(RD_KAFKA_PRODUCER, nullptr, nullptr, 0)),
        cluster_(rd_kafka_mock_cluster_new(host_.get(), 1)) {
    EXPECT_EQ(rd_kafka_mock_topic_create(cluster_.get(), topic, 1, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
  }

  infra::KafkaConfig config() const {
    infra::KafkaConfig config;
    config.bootstrap = rd_kafka_mock_cluster_bootstraps(cluster_.get());
    config.topic = topic;
    return config;
  }
  // The next requests of that kind are answered with these, one each.
  void answer(Api api, const std::vector<rd_kafka_resp_err_t>& errors) {
    rd_kafka_mock_push_request_errors_array(cluster_.get(), api, errors.size(), errors.data());
  }
  void answer_well(Api api) { rd_kafka_mock_clear_request_errors(cluster_.get(), api); }

 private:
  struct Destroy {
    void operator()(rd_kafka_mock_cluster_t* cluster) const {
      rd_kafka_mock_cluster_destroy(cluster);
    }
  };
  infra::kafka::ClientPtr host_;
  std::unique_ptr<rd_kafka_mock_cluster_t, Destroy> cluster_;
};

std::vector<domain::RecordedEvent> batch_under(std::uint64_t epoch, std::uint64_t first) {
  std::vector<domain::RecordedEvent> batch;
  for (std::uint64_t n = first; n < first + 3; ++n) {
    batch.push_back({domain::EventId::from(noon.unix_ms, {n, n}),
                     noon,
                     org("acme"),
                     "key1",
                     "request",
                     {},
                     {epoch, n},
                     domain::ApiKeyRevoked{"k"}});
  }
  return batch;
}

class KafkaMock : public testing::Test {
 protected:
  // As a writer does that goes on until it has the partition.
  std::uint64_t claim() {
    const auto deadline = std::chrono::steady_clock::now() + injected_wait_max;
    for (;;) {
      try {
        return writer_.claim(claim_proposal("w", 1));
      } catch (const infra::LogUnavailable&) {
        if (std::chrono::steady_clock::now() >= deadline) throw;
      }
    }
  }

  MockCluster cluster_;
  infra::Metrics metrics_;
  const infra::KafkaConfig config_ = cluster_.config();
  infra::kafka::PartitionWriter writer_{{config_, metrics_}, 0};
};

struct FaultRow {
  const char* name;
  Api api;
  std::vector<rd_kafka_resp_err_t> errors;
  bool passes;  // the client tries again by itself, and then it is committed
};

const std::vector<FaultRow> rows = {
    {"NotEnoughReplicas", produce, {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS}, true},
    {"NoLongerTheLeader", produce, {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION}, true},
    {"ADiskOfTheBroker", produce, {RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR}, true},
    {"ARecordThatIsTooLarge", produce, {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE}, false},
    {"NoRightToWrite", produce, {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED}, false},
    {"AFencedProducer", produce, {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH}, false},
    {"AProducerThatWasForgotten", produce, {RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID}, false},
    {"AGapInTheSequence", produce, {RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER}, false},
    {"ACoordinatorThatLoads",
     add_partitions,
     {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS},
     true},
    {"ATransactionThatEnds", add_partitions, {RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS}, true},
    {"NoRightToTheTopic", add_partitions, {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED}, false},
    {"AnotherWriter", add_partitions, {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH}, false},
    {"AWrongState", add_partitions, {RD_KAFKA_RESP_ERR_INVALID_TXN_STATE}, false},
    {"ACommitOfALoadingOne", end, {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS}, true},
    {"ACommitElsewhere", end, {RD_KAFKA_RESP_ERR_NOT_COORDINATOR}, true},
    {"ACommitOfAFencedOne", end, {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH}, false},
    {"ACommitInAWrongState", end, {RD_KAFKA_RESP_ERR_INVALID_TXN_STATE}, false},
    {"ACommitWithoutTheRight",
     end,
     {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED},
     false},
};

class KafkaMockErrors : public KafkaMock, public testing::WithParamInterface<FaultRow> {};

TEST_P(KafkaMockErrors, AreNeverTakenForACommit) {
  const FaultRow& row = GetParam();
  const std::uint64_t epoch = claim();
  ASSERT_EQ(writer_.append(epoch, batch_under(epoch, 1)), AppendResult::committed);
  cluster_.answer(row.api, row.errors);
  const AppendResult result = writer_.append(epoch, batch_under(epoch, 4));
  EXPECT_EQ(result == AppendResult::committed, row.passes);
  // Where a commit may have been asked for, nobody says that nothing was kept.
  if (row.api == end && !row.passes) {
    EXPECT_EQ(result, AppendResult::unknown);
  }
  cluster_.answer_well(row.api);
  if (!row.passes) {
    EXPECT_EQ(writer_.append(epoch, batch_under(epoch, 7)), AppendResult::fenced)
        << "the handle is gone";
  }
  const std::uint64_t again = claim();
  EXPECT_GT(again, epoch);
  EXPECT_EQ(writer_.append(again, batch_under(again, 1)), AppendResult::committed);
}

INSTANTIATE_TEST_SUITE_P(OfABroker, KafkaMockErrors, testing::ValuesIn(rows),
                         [](const auto& row) { return row.param.name; });

TEST_F(KafkaMock, AClaimThatFailsIsNoClaim) {
  cluster_.answer(init_producer, {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED});
  EXPECT_THROW(writer_.claim(claim_proposal("w", 1)), infra::LogUnavailable);
  EXPECT_EQ(writer_.append(0, batch_under(0, 1)), AppendResult::fenced);
  EXPECT_EQ(writer_.append(claim(), batch_under(0, 1)), AppendResult::committed);
}

TEST_F(KafkaMock, AReaderGoesOnAfterErrorsAndSkipsNothing) {
  const std::uint64_t epoch = claim();
  for (std::uint64_t n = 1; n < 60; n += 3) {
    ASSERT_EQ(writer_.append(epoch, batch_under(epoch, n)), AppendResult::committed);
  }
  infra::kafka::Reader reader{config_, metrics_};
  infra::kafka::PartitionReader partition{reader, topic, 1, 0};
  cluster_.answer(fetch,
                  {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
                   RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, RD_KAFKA_RESP_ERR_UNKNOWN});
  std::uint64_t next = epoch;
  std::uint64_t sequence = 0;
  const auto deadline = std::chrono::steady_clock::now() + injected_wait_max;
  constexpr std::uint64_t records = 61;  // the claim, and the batch
  while (sequence < records && std::chrono::steady_clock::now() < deadline) {
    partition.wait(next, std::chrono::milliseconds{100});
    const infra::LogSlice slice = partition.read(next, 7);
    for (const infra::LogEntry& entry : slice.entries) {
      EXPECT_EQ(std::get<domain::RecordedEvent>(entry.record).stamp.sequence, sequence++);
    }
    next = slice.next_offset;
  }
  EXPECT_EQ(sequence, records);
}

// That the log doesn't have what was folded is for an operator to hear.
TEST_F(KafkaMock, AReaderSaysThatTheLogLacksWhatItAsksFor) {
  const std::uint64_t epoch = claim();
  ASSERT_EQ(writer_.append(epoch, batch_under(epoch, 1)), AppendResult::committed);
  infra::kafka::Reader reader{config_, metrics_};
  infra::kafka::PartitionReader partition{reader, topic, 1, 0};
  cluster_.answer(fetch, {RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE});
  const auto look = [&] {
    const auto deadline = std::chrono::steady_clock::now() + injected_wait_max;
    while (std::chrono::steady_clock::now() < deadline) {
      partition.wait(epoch, std::chrono::milliseconds{100});
      if (!partition.read(epoch, 10).entries.empty()) return;
    }
  };
  EXPECT_THROW(look(), infra::LogUnavailable);
  EXPECT_NO_THROW(look()) << "and then looks again";
}

}  // namespace
}  // namespace contactd::test
