#include "infra/kafka_event_log.hpp"

#include <chrono>
#include <vector>

#include "infra/errors.hpp"
#include "infra/kafka_reader.hpp"
#include "infra/kafka_topic.hpp"
#include "infra/kafka_writer.hpp"
#include "infra/log.hpp"

namespace contactd::infra {
namespace {

// Where a partition's first claim is found: ahead of it are at most foreign records.
constexpr std::size_t first_records = 16;
constexpr std::chrono::milliseconds first_record_wait_max{30'000};
constexpr std::chrono::milliseconds end_check_interval{200};
// A transaction that begins while the broker is still completing the one before is refused, and
// librdkafka asks again so much later. What has come back is complete, or nearly.
constexpr std::chrono::milliseconds completion_wait_max{20};
// How long the log's end may take to be asked for, and then to come; twice in a renewal, which
// mustn't take longer than a client waits for an outcome.
constexpr std::chrono::milliseconds renew_wait_max{500};

class TopicEventLog final : public KafkaEventLog {
 public:
  TopicEventLog(KafkaConfig config, Metrics& metrics, const std::stop_token& stop)
      : config_(std::move(config)),
        topic_(prepare_kafka_topic(config_, metrics, stop)),
        reader_(config_, metrics) {
    partitions_.reserve(topic_.partitions);
    for (std::uint32_t id = 0; id < topic_.partitions; ++id) {
      partitions_.push_back(std::make_unique<Partition>(*this, metrics, id));
    }
    check_recorded_partitions();
  }

  std::string identity() const override {
    return "kafka cluster " + topic_.cluster_id + ", topic " + config_.topic;
  }
  std::uint32_t partition_count() const override { return topic_.partitions; }

  Claim claim(std::uint32_t partition, const domain::RecordedEvent& proposal) override {
    return {partition, partitions_.at(partition)->writer.claim(proposal)};
  }
  AppendResult append(const Claim& claim, std::span<const domain::RecordedEvent> batch,
                      std::span<const std::string> /*canonical*/) override {
    Partition& partition = *partitions_.at(claim.partition);
    partition.reader.wait_until_taken(partition.writer.end(), completion_wait_max);
    if (partition.writer.is_slow()) {
      const AppendResult renewed = renew(partition, claim.epoch);
      if (renewed != AppendResult::committed) return renewed;
    }
    return partition.writer.append(claim.epoch, batch);
  }
  void release(std::uint32_t partition) override { partitions_.at(partition)->writer.release(); }

  LogSlice read(std::uint32_t partition, std::uint64_t from, std::size_t count_max) override {
    return partitions_.at(partition)->reader.read(from, count_max);
  }
  bool wait(std::uint32_t partition, std::uint64_t from,
            std::chrono::milliseconds patience) override {
    return partitions_.at(partition)->reader.wait(from, patience);
  }
  std::uint64_t end_offset(std::uint32_t partition) override {
    return partitions_.at(partition)->reader.end_offset();
  }

 private:
  struct Partition {
    Partition(TopicEventLog& log, Metrics& metrics, std::uint32_t id)
        : writer({log.config_, metrics}, id),
          reader(log.reader_, log.config_.topic, log.topic_.partitions, id) {}

    kafka::PartitionWriter writer;
    kafka::PartitionReader reader;
  };

  // A new handle under the same claim would commit what was decided under it even if another has
  // claimed meanwhile, and fence that one. Asked for before, to leave it alone; and after, from
  // when on it can't be. `committed` if the claim goes on; else it is over, and nothing was
  // written.
  AppendResult renew(Partition& partition, std::uint64_t claim) const {
    const std::uint64_t end = partition.writer.end();
    const auto is_known = [&] { return partition.reader.catch_up(end, renew_wait_max); };
    const auto is_ours = [&] { return partition.reader.newest_claim() <= claim; };
    try {
      const bool renewed = is_known() && is_ours() && partition.writer.open_anew() && is_known();
      if (renewed && is_ours()) return AppendResult::committed;
    } catch (const LogUnavailable& problem) {
      spdlog::warn("{}", problem.what());
    }
    partition.writer.release();
    return is_ours() ? AppendResult::refused : AppendResult::fenced;
  }

  // Returns false if the partition has no record that anybody could read: if all that there is in
  // it is Kafka's own, its end moves to where it begins once that has been read.
  bool wait_for_first_record(Partition& partition) const {
    const auto deadline = std::chrono::steady_clock::now() + first_record_wait_max;
    while (partition.reader.end_offset() > 0) {
      if (partition.reader.wait(0, end_check_interval)) return true;
      if (std::chrono::steady_clock::now() < deadline) continue;
      throw LogAway("the Kafka topic " + config_.topic + " has records that can't be read within " +
                    std::to_string(first_record_wait_max.count() / 1000) +
                    " seconds; check the brokers, and transactions that were left open");
    }
    return false;
  }

  // The first claim of a partition has how many there were. One that has none says nothing.
  void check_recorded_partitions() {
    for (const auto& partition : partitions_) {
      if (!wait_for_first_record(*partition)) continue;
      for (const LogEntry& entry : partition->reader.read(0, first_records).entries) {
        const auto* const unreadable = std::get_if<UnreadableRecord>(&entry.record);
        if (unreadable == nullptr) continue;
        throw LogUnavailable("the Kafka topic " + config_.topic + " can't be used: its record at " +
                             "offset " + std::to_string(entry.offset) +
                             " can't be read: " + unreadable->reason);
      }
    }
  }

  // Constant after construction.
  const KafkaConfig config_;
  const KafkaTopic topic_;
  kafka::Reader reader_;
  std::vector<std::unique_ptr<Partition>> partitions_;
};

}  // namespace

std::unique_ptr<KafkaEventLog> open_kafka_event_log(const KafkaConfig& config, Metrics& metrics,
                                                    const std::stop_token& stop) {
  return std::make_unique<TopicEventLog>(config, metrics, stop);
}

}  // namespace contactd::infra
