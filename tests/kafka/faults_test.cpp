// What goes wrong on a real Kafka without anybody being fenced: the log must say so, and never read
// on as if nothing had happened.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>

#include "infra/errors.hpp"
#include "infra/kafka_event_log.hpp"
#include "tests/kafka/topic_under_test.hpp"
#include "tests/projections/log_builder.hpp"

namespace contactd::test {
namespace {

using namespace std::chrono_literals;

// Longer than anything here takes on a machine that is busy; only a failure waits for it.
constexpr std::chrono::seconds fault_wait_max{60};

domain::RecordedEvent event_under(const infra::Claim& claim, std::uint64_t sequence,
                                  const std::string& key) {
  return {domain::EventId::from(noon.unix_ms, {sequence, sequence}),
          after(static_cast<std::int64_t>(sequence)),
          org("acme"),
          "key1",
          "request",
          {},
          {claim.epoch, sequence},
          domain::ApiKeyRevoked{key}};
}

class KafkaFaults : public testing::Test {
 protected:
  void SetUp() override {
    CONTACTD_NEEDS_KAFKA();
    config_ = new_topic();
    log_ = infra::open_kafka_event_log(config_, metrics_);
  }
  infra::EventLog& log() { return *log_; }
  // The claim's first event.
  void given_slow_commit(const infra::Claim& claim) {
    ASSERT_EQ(read(1), 1U);
    const auto first = event_under(claim, 1, "first");
    shared_kafka_broker()->pause();
    auto appended =
        std::async(std::launch::async, [&] { return log().append(claim, {&first, 1}); });
    EXPECT_EQ(appended.wait_for(3s), std::future_status::timeout);
    shared_kafka_broker()->resume();
    ASSERT_EQ(appended.get(), infra::AppendResult::committed);
  }
  // Another instance's.
  std::unique_ptr<infra::EventLog> another() {
    return infra::open_kafka_event_log(config_, metrics_);
  }
  std::filesystem::path files() const {
    return shared_kafka_broker()->data_of(1) / (config_.topic + "-0");
  }

  // Reads from the beginning until `count` records have come; as many as came in time.
  std::size_t read(std::size_t count) {
    const auto deadline = std::chrono::steady_clock::now() + fault_wait_max;
    std::size_t seen = 0;
    for (std::uint64_t from = 0; seen < count && std::chrono::steady_clock::now() < deadline;) {
      log().wait(0, from, 100ms);
      const infra::LogSlice slice = log().read(0, from, 100);
      seen += slice.entries.size();
      from = slice.next_offset;
    }
    return seen;
  }

 private:
  infra::KafkaConfig config_;
  infra::Metrics metrics_;
  std::unique_ptr<infra::EventLog> log_;
};

// Changes the first byte of `text` in the partition's files, since no client could write that.
void damage(const std::filesystem::path& partition, const std::string& text) {
  for (const auto& entry : std::filesystem::directory_iterator{partition}) {
    if (entry.path().extension() != ".log") continue;
    std::fstream stream{entry.path(), std::ios::in | std::ios::out | std::ios::binary};
    const std::string all{std::istreambuf_iterator<char>{stream}, {}};
    const std::size_t at = all.find(text);
    if (at == std::string::npos) continue;
    stream.clear();
    stream.seekp(static_cast<std::streamoff>(at));
    stream.put('X');
    ASSERT_TRUE(stream.flush());
    return;
  }
  FAIL() << "no " << text << " in " << partition;
}

TEST_F(KafkaFaults, ADamagedRecordIsNotPassedOver) {
  const infra::Claim claim = log().claim(0, claim_proposal());
  for (const std::uint64_t sequence : {1U, 2U, 3U}) {
    const auto event = event_under(claim, sequence, "unharmed" + std::to_string(sequence));
    ASSERT_EQ(log().append(claim, {&event, 1}), infra::AppendResult::committed);
  }
  // So many more that a reader which goes on behind the damage finds something there.
  std::vector<domain::RecordedEvent> more;
  more.reserve(1'000);
  for (std::uint64_t i = 0; i < 1'000; ++i) more.push_back(event_under(claim, 4 + i, "more"));
  ASSERT_EQ(log().append(claim, more), infra::AppendResult::committed);
  damage(files(), "unharmed2");
  for (int attempt = 0; attempt < 3; ++attempt) {
    EXPECT_THROW(read(4), infra::LogUnavailable) << "attempt " << attempt;
  }
}

// A commit that was sent twice may end its handle's next transaction: that has a new one, under the
// same claim.
TEST_F(KafkaFaults, AClaimGoesOnAfterASlowCommit) {
  const infra::Claim claim = log().claim(0, claim_proposal());
  given_slow_commit(claim);
  const auto second = event_under(claim, 2, "second");
  EXPECT_EQ(log().append(claim, {&second, 1}), infra::AppendResult::committed);
  EXPECT_EQ(read(3), 3U);
}

// A new handle would fence the other, and commit what was decided without knowing of it.
TEST_F(KafkaFaults, AClaimEndsAfterASlowCommitWhereAnotherHasClaimed) {
  const infra::Claim claim = log().claim(0, claim_proposal());
  given_slow_commit(claim);

  const auto rival = another();
  const infra::Claim theirs = rival->claim(0, claim_proposal());
  const auto second = event_under(claim, 2, "second");
  EXPECT_EQ(log().append(claim, {&second, 1}), infra::AppendResult::fenced);
  const auto third = event_under(theirs, 1, "third");
  EXPECT_EQ(rival->append(theirs, {&third, 1}), infra::AppendResult::committed);
}

}  // namespace
}  // namespace contactd::test
