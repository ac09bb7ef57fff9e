#include "infra/kafka_event_log.hpp"

#include <mutex>
#include <vector>

#include "infra/kafka_reader.hpp"
#include "infra/kafka_topic.hpp"
#include "infra/kafka_writer.hpp"

namespace contactd::infra {
namespace {

class TopicEventLog final : public KafkaEventLog {
 public:
  TopicEventLog(KafkaConfig config, Metrics& metrics)
      : config_(std::move(config)),
        topic_(prepare_kafka_topic(config_, metrics)),
        reader_(config_, metrics) {
    partitions_.reserve(topic_.partitions);
    for (std::uint32_t id = 0; id < topic_.partitions; ++id) {
      partitions_.push_back(std::make_unique<Partition>(config_, metrics, reader_, id));
    }
  }

  std::string identity() const override {
    return "kafka cluster " + topic_.cluster_id + ", topic " + config_.topic;
  }
  std::uint32_t partition_count() const override { return topic_.partitions; }

  Claim claim(std::uint32_t partition, const domain::RecordedEvent& proposal) override {
    return {partition, partitions_.at(partition)->writer.claim(proposal)};
  }
  AppendResult append(const Claim& claim, std::span<const domain::RecordedEvent> batch) override {
    return partitions_.at(claim.partition)->writer.append(claim.epoch, batch);
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
    Partition(const KafkaConfig& config, Metrics& metrics, kafka::Reader& shared, std::uint32_t id)
        : writer({config, metrics}, id), reader(shared, config.topic, id) {}

    kafka::PartitionWriter writer;
    kafka::PartitionReader reader;
  };

  // Constant after construction.
  const KafkaConfig config_;
  const KafkaTopic topic_;
  kafka::Reader reader_;
  std::vector<std::unique_ptr<Partition>> partitions_;
};

}  // namespace

std::unique_ptr<KafkaEventLog> open_kafka_event_log(const KafkaConfig& config, Metrics& metrics) {
  return std::make_unique<TopicEventLog>(config, metrics);
}

}  // namespace contactd::infra
