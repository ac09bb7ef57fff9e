#include "infra/kafka_writer.hpp"

#include <array>

#include "infra/errors.hpp"
#include "infra/kafka_record.hpp"
#include "infra/log.hpp"

namespace contactd::infra::kafka {
namespace {

using std::chrono::milliseconds;

// Well below the time after which a client is told that the outcome is unknown. A commit that
// takes longer is given up with its handle.
constexpr milliseconds commit_wait_max{8'000};
// The broker's time to abort the transaction of a fenced handle is in it.
constexpr milliseconds init_wait_max{12'000};
// The same for a new handle of a claim that goes on: commands wait for it, and for the commit then.
constexpr milliseconds init_again_wait_max{2'000};
// A record that isn't acknowledged by then fails, and its transaction with it.
constexpr auto delivery_timeout_ms = "6000";
constexpr auto request_timeout_ms = "5000";
constexpr auto transaction_timeout_ms = "10000";
// A commit that took longer may have been asked for twice, and the one that is still under way
// could end the handle's next transaction: that gets a new handle.
constexpr milliseconds slow_commit{2'000};
// How long the broker may take to say who leads the partition.
constexpr milliseconds metadata_wait_max{2'000};
// How long the reports of records that were dropped may take: they don't leave this process.
constexpr milliseconds report_wait_max{500};

bool is_fence(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
         code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

}  // namespace

PartitionWriter::PartitionWriter(Topic topic, std::uint32_t partition)
    : topic_(topic), partition_(partition) {
  context_.name = "writer." + std::to_string(partition);
  context_.metrics = &topic.metrics;
}

// Called within commit and flush, on this thread.
void PartitionWriter::on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
  Deliveries& deliveries = static_cast<Context*>(opaque)->deliveries;
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
    deliveries.offset = message->offset;
    return;
  }
  if (deliveries.error == RD_KAFKA_RESP_ERR_NO_ERROR) deliveries.error = message->err;
  if (rd_kafka_message_status(message) == RD_KAFKA_MSG_STATUS_NOT_PERSISTED) ++deliveries.refused;
}

void PartitionWriter::open(milliseconds patience) {
  release();
  slow_ = false;
  const KafkaConfig& config = topic_.config;
  ConfPtr conf = make_conf(config, context_,
                           {{"transactional.id", config.name_space + "." + context_.name},
                            {"transaction.timeout.ms", transaction_timeout_ms},
                            {"message.timeout.ms", delivery_timeout_ms},
                            {"request.timeout.ms", request_timeout_ms},
                            {"acks", "all"},
                            {"enable.idempotence", "true"},
                            {"linger.ms", "0"},
                            // Nothing takes them while no batch is written.
                            {"statistics.interval.ms", "0"}});
  rd_kafka_conf_set_dr_msg_cb(conf.get(), on_delivery);
  client_ = make_client(RD_KAFKA_PRODUCER, std::move(conf));
  const ErrorPtr error{
      rd_kafka_init_transactions(client_.get(), static_cast<int>(patience.count()))};
  if (!error) return find_leader();
  const Failure failed = failure("taking it", *error, false);
  release();
  throw LogUnavailable(failed.what + "; check that a Kafka broker answers at " + config.bootstrap);
}

// Asked for, or librdkafka looks only when a timer of its own gets to it, after a second. What goes
// wrong here shows when the claim is written.
void PartitionWriter::find_leader() {
  written_.reset(rd_kafka_topic_new(client_.get(), topic_.config.topic.c_str(), nullptr));
  if (!written_) return;
  const rd_kafka_metadata_t* found = nullptr;
  rd_kafka_metadata(client_.get(), 0, written_.get(), &found,
                    static_cast<int>(metadata_wait_max.count()));
  const MetadataPtr metadata{found};
}

std::uint64_t PartitionWriter::claim(const domain::RecordedEvent& proposal) {
  open(init_wait_max);
  if (const auto failed = transact({&proposal, 1})) {
    release();
    throw LogUnavailable(failed->what);
  }
  const std::int64_t offset = context_.deliveries.offset;
  if (offset < 0) {
    // The broker had stored it before it was asked again, and doesn't say where.
    release();
    throw LogUnavailable("Kafka topic " + topic_.config.topic + ", partition " +
                         std::to_string(partition_) + ": the claim's offset isn't known");
  }
  const auto epoch = static_cast<std::uint64_t>(offset);
  epoch_ = epoch;
  return epoch;
}

AppendResult PartitionWriter::append(std::uint64_t epoch,
                                     std::span<const domain::RecordedEvent> batch) {
  if (!client_ || epoch != epoch_) return AppendResult::fenced;
  const auto failed = transact(batch);
  if (!failed) return AppendResult::committed;
  spdlog::warn("{}", failed->what);
  release();
  if (failed->in_doubt) return AppendResult::unknown;
  return failed->fenced ? AppendResult::fenced : AppendResult::refused;
}

std::uint64_t PartitionWriter::end() const {
  return static_cast<std::uint64_t>(context_.deliveries.offset + 1);
}

void PartitionWriter::release() {
  epoch_.reset();
  written_.reset();
  client_.reset();
}

bool PartitionWriter::open_anew() {
  spdlog::warn("Kafka topic {}, partition {}: a commit took long; look at the brokers",
               topic_.config.topic, partition_);
  const auto epoch = epoch_;
  if (!client_ || !epoch) return false;
  release();
  try {
    open(init_again_wait_max);
  } catch (const LogUnavailable& problem) {
    spdlog::warn("{}", problem.what());
    return false;
  }
  epoch_ = epoch;
  return true;
}

PartitionWriter::Failure PartitionWriter::failure(const char* step, const rd_kafka_error_t& error,
                                                  bool in_doubt) const {
  rd_kafka_resp_err_t code = rd_kafka_error_code(&error);
  std::string what =
      "Kafka topic " + topic_.config.topic + ", partition " + std::to_string(partition_) + ": " +
      step + " failed: " + rd_kafka_error_name(&error) + ": " + rd_kafka_error_string(&error);
  bool fenced = is_fence(code);
  if (rd_kafka_error_is_fatal(&error) != 0) {
    std::array<char, 512> reason{};
    const auto fatal = rd_kafka_fatal_error(client_.get(), reason.data(), reason.size());
    fenced = fenced || is_fence(fatal);
  }
  topic_.metrics.kafka_errors.Add({{"client", context_.name}, {"error", rd_kafka_err2name(code)}})
      .Increment();
  return {code, std::move(what), fenced, in_doubt};
}

std::optional<PartitionWriter::Failure> PartitionWriter::transact(
    std::span<const domain::RecordedEvent> batch) {
  context_.deliveries = {};
  if (const ErrorPtr error{rd_kafka_begin_transaction(client_.get())}) {
    return failure("beginning a transaction", *error, false);
  }
  for (const auto& event : batch) {
    if (const ErrorPtr error = produce(encode_cloud_event(event), event.time, client_.get(),
                                       topic_.config.topic, partition_)) {
      return failure("writing", *error, false);
    }
  }
  const auto started = std::chrono::steady_clock::now();
  const ErrorPtr error{
      rd_kafka_commit_transaction(client_.get(), static_cast<int>(commit_wait_max.count()))};
  if (!error) {
    slow_ = std::chrono::steady_clock::now() - started > slow_commit;
    return std::nullopt;
  }
  // The commit is asked for only once all records are stored; so if none is, it never was.
  rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  rd_kafka_flush(client_.get(), static_cast<int>(report_wait_max.count()));
  Failure failed = failure("committing", *error, context_.deliveries.refused != batch.size());
  const rd_kafka_resp_err_t stored = context_.deliveries.error;
  if (stored != RD_KAFKA_RESP_ERR_NO_ERROR) {
    failed.what += "; a record wasn't stored: " + text_of(stored);
  }
  return failed;
}

}  // namespace contactd::infra::kafka
