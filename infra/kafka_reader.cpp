#include "infra/kafka_reader.hpp"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "infra/errors.hpp"
#include "infra/kafka_record.hpp"
#include "infra/log.hpp"

namespace contactd::infra::kafka {
namespace {

using std::chrono::milliseconds;

// Records are pushed as they are committed; this is only how soon it is known that there are none.
constexpr auto fetch_wait_ms = "100";
// The memory of what was fetched and not folded yet: for each partition.
constexpr auto prefetch_kbytes = "16384";
constexpr int housekeeping_wait_ms = 200;
constexpr std::size_t poll_records_max = 1024;
constexpr milliseconds end_wait_max{5'000};
// A log of so many records that were not fetched yet is one to catch up with.
constexpr std::int64_t far_behind_records = 4096;
constexpr milliseconds wake_wait_max{500};

bool is_claim(const LogEntry& entry) {
  const auto* const event = std::get_if<domain::RecordedEvent>(&entry.record);
  return event != nullptr && std::holds_alternative<domain::WriterClaimed>(event->event);
}

}  // namespace

Reader::Reader(const KafkaConfig& config, Metrics& metrics) {
  context_.name = "reader";
  context_.metrics = &metrics;
  client_ =
      make_client(RD_KAFKA_CONSUMER, make_conf(config, context_,
                                               {{"isolation.level", "read_committed"},
                                                {"check.crcs", "true"},
                                                {"enable.auto.commit", "false"},
                                                {"enable.auto.offset.store", "false"},
                                                {"auto.commit.enable", "false"},
                                                {"auto.offset.reset", "error"},
                                                {"enable.partition.eof", "true"},
                                                {"fetch.wait.max.ms", fetch_wait_ms},
                                                {"fetch.error.backoff.ms", "100"},
                                                {"queued.max.messages.kbytes", prefetch_kbytes}}));
  topic_.reset(rd_kafka_topic_new(client_.get(), config.topic.c_str(), nullptr));
  if (!topic_) throw LogUnavailable("librdkafka doesn't take the topic's name " + config.topic);
  housekeeping_ = std::jthread{[client = client_.get()](const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "kafka");
    while (!stop.stop_requested()) rd_kafka_poll(client, housekeeping_wait_ms);
  }};
}

Reader::~Reader() = default;

PartitionReader::PartitionReader(Reader& reader, std::string topic, std::uint32_t partitions,
                                 std::uint32_t partition)
    : reader_(reader),
      topic_(std::move(topic)),
      partitions_(partitions),
      partition_(partition),
      queue_(rd_kafka_queue_new(reader.client())) {}

PartitionReader::~PartitionReader() { stop(); }

void PartitionReader::stop() {
  if (!started_) return;
  rd_kafka_consume_stop(reader_.topic(), static_cast<std::int32_t>(partition_));
  started_ = false;
}

std::string PartitionReader::name() const {
  return "Kafka topic " + topic_ + ", partition " + std::to_string(partition_);
}

bool PartitionReader::has(std::uint64_t from) const {
  return std::any_of(pending_.rbegin(), pending_.rend(),
                     [from](const LogEntry& entry) { return entry.offset >= from; });
}

// What is fetched goes on at `from`.
void PartitionReader::go_to(Lock& lock, std::uint64_t from) {
  const auto here = [&] {
    return started_ && problem_.empty() && from >= given_ && from <= std::max(taken_, gap_end_);
  };
  if (here()) return;
  polled_.wait(lock, [this] { return !polling_; });
  if (here()) return;
  const std::string problem = std::exchange(problem_, {});
  stop();
  pending_.clear();
  given_ = taken_ = gap_end_ = from;
  if (!problem.empty()) throw LogUnavailable(problem);
  if (rd_kafka_consume_start_queue(reader_.topic(), static_cast<std::int32_t>(partition_),
                                   static_cast<std::int64_t>(from), queue_.get()) != 0) {
    throw LogUnavailable(name() + " can't be read: " + text_of(rd_kafka_last_error()));
  }
  started_ = true;
}

// librdkafka stops to fetch where a queue is full, and looks whether it still is once a second, or
// when its broker's thread has something else to do (2.2 has fetch.queue.backoff.ms for that): a
// second in which nothing is left to fold. A question is something to do.
void PartitionReader::wake_fetcher(std::uint64_t taken) const {
  std::int64_t low = 0;
  std::int64_t high = 0;  // as the last fetch said: this asks nobody
  const auto id = static_cast<std::int32_t>(partition_);
  if (rd_kafka_get_watermark_offsets(reader_.client(), topic_.c_str(), id, &low, &high) !=
          RD_KAFKA_RESP_ERR_NO_ERROR ||
      high - static_cast<std::int64_t>(taken) < far_behind_records) {
    return;
  }
  ask_offset(reader_.client(), topic_, partition_, RD_KAFKA_OFFSET_END, wake_wait_max);
}

bool PartitionReader::poll(Lock& lock, milliseconds patience, std::size_t count_max) {
  std::array<rd_kafka_message_t*, poll_records_max> messages;
  const std::size_t wanted = std::min(count_max, messages.size());
  const std::uint64_t taken = taken_;
  polling_ = true;
  lock.unlock();
  if (patience > milliseconds::zero()) wake_fetcher(taken);
  const auto count = rd_kafka_consume_batch_queue(queue_.get(), static_cast<int>(patience.count()),
                                                  messages.data(), wanted);
  lock.lock();
  polling_ = false;
  for (auto i = 0; i < count; ++i) {
    const MessagePtr message{messages.at(static_cast<std::size_t>(i))};
    take(*message);
  }
  polled_.notify_all();
  return count == static_cast<ssize_t>(wanted);
}

void PartitionReader::take(const rd_kafka_message_t& message) {
  if (!problem_.empty()) return;  // what comes behind it isn't what follows
  const auto offset = static_cast<std::uint64_t>(message.offset);
  switch (message.err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
      if (offset < taken_) return;
      pending_.push_back(decode_message(message, partitions_));
      if (is_claim(pending_.back())) newest_claim_ = std::max(newest_claim_, offset);
      taken_ = offset + 1;
      return;
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
      gap_end_ = std::max(gap_end_, offset);
      return;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
      problem_ = name() + " doesn't have the offset " + std::to_string(taken_) +
                 ": it has lost records, or was deleted and made anew. Restore the topic. The "
                 "projections may be all that is left: `contactd serve --read-only` shows them. If "
                 "this topic is right, and has all of its records from offset 0 on, remove their "
                 "directory: they are then made anew";
      return;
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR__INCONSISTENT:
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
    case RD_KAFKA_RESP_ERR__UNDERFLOW:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
      // librdkafka goes on somewhere behind it.
      problem_ = name() + " is damaged at offset " + std::to_string(taken_) + " or after it (" +
                 rd_kafka_message_errstr(&message) +
                 "); let another replica lead, or restore the topic from a backup";
      return;
    default:
      spdlog::warn("{}: {}: {}", name(), rd_kafka_err2name(message.err),
                   rd_kafka_message_errstr(&message));
      return;
  }
}

LogSlice PartitionReader::read(std::uint64_t from, std::size_t count_max) {
  Lock lock{mutex_};
  go_to(lock, from);
  pending_.reserve(std::min(count_max, poll_records_max));
  for (bool more = true; more && pending_.size() < count_max && !polling_;) {
    more = poll(lock, milliseconds::zero(), count_max - pending_.size());
  }
  const auto first = std::find_if(pending_.begin(), pending_.end(),
                                  [from](const LogEntry& entry) { return entry.offset >= from; });
  pending_.erase(pending_.begin(), first);
  LogSlice slice{std::exchange(pending_, {}), from};
  if (slice.entries.size() > count_max) {
    const auto rest = slice.entries.begin() + static_cast<std::ptrdiff_t>(count_max);
    std::move(rest, slice.entries.end(), std::back_inserter(pending_));
    slice.entries.erase(rest, slice.entries.end());
  }
  if (!slice.entries.empty()) given_ = slice.next_offset = slice.entries.back().offset + 1;
  return slice;
}

bool PartitionReader::wait(std::uint64_t from, milliseconds patience) {
  const auto deadline = Clock::now() + patience;
  Lock lock{mutex_};
  for (;;) {
    if (started_ && from < given_) return true;  // one was given out already
    go_to(lock, from);
    if (has(from)) return true;
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    if (left <= milliseconds::zero()) return false;
    if (polling_) {
      polled_.wait_until(lock, deadline, [&] { return !polling_ || has(from); });
    } else {
      poll(lock, left, 1);  // librdkafka waits until it has as many as it was asked for
    }
  }
}

void PartitionReader::wait_until_taken(std::uint64_t end, milliseconds patience) {
  Lock lock{mutex_};
  polled_.wait_for(lock, patience, [&] { return taken_ >= end || !problem_.empty(); });
}

bool PartitionReader::catch_up(std::uint64_t from, milliseconds patience) {
  const AskedOffset asked =
      ask_offset(reader_.client(), topic_, partition_, RD_KAFKA_OFFSET_END, patience);
  if (asked.error != RD_KAFKA_RESP_ERR_NO_ERROR) return false;
  const auto end = static_cast<std::uint64_t>(asked.offset);
  const auto deadline = Clock::now() + patience;
  Lock lock{mutex_};
  if (!started_) go_to(lock, from);
  const auto done = [&] { return std::max(taken_, gap_end_) >= end; };
  while (started_ && problem_.empty() && !done()) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    if (left <= milliseconds::zero()) return false;
    if (polling_) {
      polled_.wait_until(lock, deadline, [&] { return !polling_ || done(); });
    } else {
      poll(lock, left, 1);
    }
  }
  return started_ && problem_.empty();
}

std::uint64_t PartitionReader::newest_claim() {
  const std::lock_guard lock{mutex_};
  return newest_claim_;
}

std::uint64_t PartitionReader::end_offset() {
  std::int64_t low = 0;
  std::int64_t high = 0;
  const auto id = static_cast<std::int32_t>(partition_);
  const auto known =
      rd_kafka_get_watermark_offsets(reader_.client(), topic_.c_str(), id, &low, &high);
  if (known != RD_KAFKA_RESP_ERR_NO_ERROR || high < 0) {
    const AskedOffset asked =
        ask_offset(reader_.client(), topic_, partition_, RD_KAFKA_OFFSET_END, end_wait_max);
    if (asked.error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      throw LogAway(name() + ": its end can't be asked for: " + text_of(asked.error) +
                    "; check that the brokers are up");
    }
    high = asked.offset;
  }
  const std::lock_guard lock{mutex_};
  const auto end = static_cast<std::uint64_t>(high);
  // What follows the last record of ours is Kafka's own: the log ends before it.
  return started_ && end <= std::max(taken_, gap_end_) ? std::max(taken_, given_) : end;
}

}  // namespace contactd::infra::kafka
