#pragma once

// Internal: includes librdkafka.
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "infra/event_log.hpp"
#include "infra/kafka_client.hpp"

namespace contactd::infra::kafka {

// Kafka's own fence around one partition: a transactional producer with the partition's stable id,
// whose init fences the handle that had the id before. A handle that anything went wrong with is
// destroyed, never used again: a delayed EndTxn of it could else end a later transaction of the
// same epoch.
// Threads: one at a time.
class PartitionWriter {
 public:
  // What is constant for all of the log's partitions. Must outlive this.
  struct Topic {
    const KafkaConfig& config;
    Metrics& metrics;
  };

  PartitionWriter(Topic topic, std::uint32_t partition);

  // Fences every other handle, and commits the record alone. Returns its offset.
  // Throws LogUnavailable; blocks at most init_wait_max, metadata_wait_max and commit_wait_max.
  std::uint64_t claim(const domain::RecordedEvent& proposal);
  // Whether the last commit took so long that the next transaction needs a new handle.
  bool is_slow() const { return slow_; }
  // A new handle for the claim that goes on. It fences every other, as a claim would: to be used
  // only once the log shows that nobody has claimed meanwhile. False, and the claim is over, if
  // there can be none; blocks at most init_again_wait_max and metadata_wait_max.
  bool open_anew();
  // One transaction. Blocks at most commit_wait_max. REQUIRES: the last commit wasn't slow.
  AppendResult append(std::uint64_t epoch, std::span<const domain::RecordedEvent> batch);
  // One past the last record that was written; 0 if that isn't known.
  std::uint64_t end() const;
  // Destroys the handle. What is open is aborted by the next claim, or by the broker in time.
  void release();

 private:
  // What became of the records of the transaction under way, told by delivery reports.
  struct Deliveries {
    std::size_t refused = 0;  // certainly not in the log
    // Of the first one that wasn't stored: the transaction's own error says only that there is one.
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
    std::int64_t offset = -1;
  };
  struct Context : ClientContext {
    Deliveries deliveries;
  };
  struct Failure {
    rd_kafka_resp_err_t code;
    std::string what;
    bool fenced;
    bool in_doubt;  // a commit may have been asked for
  };

  static void on_delivery(rd_kafka_t* client, const rd_kafka_message_t* message, void* opaque);
  void open(std::chrono::milliseconds patience);
  void find_leader();
  std::optional<Failure> transact(std::span<const domain::RecordedEvent> batch);
  Failure failure(const char* step, const rd_kafka_error_t& error, bool in_doubt) const;

  const Topic topic_;
  const std::uint32_t partition_;
  Context context_;
  bool slow_ = false;  // the last commit was
  std::optional<std::uint64_t> epoch_;
  ClientPtr client_;
  TopicPtr written_;  // of client_
};

}  // namespace contactd::infra::kafka
