#pragma once

// Internal: includes librdkafka.
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "infra/event_log.hpp"
#include "infra/kafka_client.hpp"

namespace contactd::infra::kafka {

// The consumer of one process: reads the topic's partitions under read_committed, from offsets
// that the caller knows; no group, nothing committed. Threads: any.
class Reader {
 public:
  Reader(const KafkaConfig& config, Metrics& metrics);
  ~Reader();

  rd_kafka_t* client() const { return client_.get(); }
  rd_kafka_topic_t* topic() const { return topic_.get(); }

 private:
  ClientContext context_;
  ClientPtr client_;
  TopicPtr topic_;
  std::jthread housekeeping_;  // takes statistics and errors
};

// One partition of it, with a queue of its own.
// Threads: any; a thread that waits doesn't hold up one that reads.
class PartitionReader {
 public:
  // REQUIRES: the topic has `partitions`.
  PartitionReader(Reader& reader, std::string topic, std::uint32_t partitions,
                  std::uint32_t partition);
  ~PartitionReader();

  // As EventLog's. Throw LogUnavailable where the log doesn't have `from`.
  LogSlice read(std::uint64_t from, std::size_t count_max);
  bool wait(std::uint64_t from, std::chrono::milliseconds patience);
  // Returns once all before `end` has come from Kafka, or after `patience`. Reads nothing itself.
  void wait_until_taken(std::uint64_t end, std::chrono::milliseconds patience);
  // Whether all has come that the log has now, by its broker's word, from `from` on where nobody
  // has read; waits for that, `patience` for the word, and as long again for the rest. What comes
  // is kept for read(). Throws as that.
  bool catch_up(std::uint64_t from, std::chrono::milliseconds patience);
  // The offset of the last WriterClaimed that has come; 0 if none has.
  std::uint64_t newest_claim();
  // Asks the broker if nothing was fetched yet; throws LogUnavailable if it doesn't answer.
  std::uint64_t end_offset();

 private:
  using Clock = std::chrono::steady_clock;
  using Lock = std::unique_lock<std::mutex>;

  bool has(std::uint64_t from) const;
  void go_to(Lock& lock, std::uint64_t from);
  // Returns whether as many came as were wanted: there may be more.
  bool poll(Lock& lock, std::chrono::milliseconds patience, std::size_t count_max);
  void wake_fetcher(std::uint64_t taken) const;
  void take(const rd_kafka_message_t& message);
  void stop();
  std::string name() const;

  // Constant after construction; librdkafka's handles provide their own synchronization.
  Reader& reader_;
  const std::string topic_;
  const std::uint32_t partitions_;
  const std::uint32_t partition_;
  const QueuePtr queue_;

  // Guarded by mutex_.
  std::mutex mutex_;
  std::condition_variable polled_;
  bool polling_ = false;  // a thread has let go of mutex_ to look at queue_
  bool started_ = false;
  std::vector<LogEntry> pending_;
  std::uint64_t given_ = 0;    // one past the last entry that read() gave out, or where it began
  std::uint64_t taken_ = 0;    // one past the last entry that came from Kafka
  std::uint64_t gap_end_ = 0;  // records before it, from taken_ on, are Kafka's own: none is ours
  std::uint64_t newest_claim_ = 0;
  std::string problem_;  // why the partition must be started anew
};

}  // namespace contactd::infra::kafka
