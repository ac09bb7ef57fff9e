// Peers (a) and (b) of the Kafka part of the benchmark: what Kafka itself costs, in a bare loop
// over librdkafka. `commit` writes records of an event's size, so many a transaction, and reads
// each transaction back under read_committed before it begins the next; `read` reads a topic and
// throws it away. Each prints one line of JSON.

#include <librdkafka/rdkafka.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <exception>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int32_t partition = 0;
constexpr int wait_max_ms = 30'000;
constexpr int poll_ms = 1'000;

template <auto destroy>
struct Destroy {
  void operator()(auto* handle) const noexcept { destroy(handle); }
};
using Client = std::unique_ptr<rd_kafka_t, Destroy<rd_kafka_destroy>>;
using Topic = std::unique_ptr<rd_kafka_topic_t, Destroy<rd_kafka_topic_destroy>>;
using Message = std::unique_ptr<rd_kafka_message_t, Destroy<rd_kafka_message_destroy>>;
using Error = std::unique_ptr<rd_kafka_error_t, Destroy<rd_kafka_error_destroy>>;
using Partitions = std::unique_ptr<rd_kafka_topic_partition_list_t,
                                   Destroy<rd_kafka_topic_partition_list_destroy>>;
using NewTopic = std::unique_ptr<rd_kafka_NewTopic_t, Destroy<rd_kafka_NewTopic_destroy>>;
using Queue = std::unique_ptr<rd_kafka_queue_t, Destroy<rd_kafka_queue_destroy>>;
using Event = std::unique_ptr<rd_kafka_event_t, Destroy<rd_kafka_event_destroy>>;

struct Options {
  std::string bootstrap = "127.0.0.1:9092";
  std::string topic = "bench.loop";
  std::size_t records = 1;
  std::size_t bytes = 600;
  double seconds = 5;
};

void require(rd_kafka_resp_err_t error, const char* what) {
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    throw std::runtime_error(std::string{what} + ": " + rd_kafka_err2str(error));
  }
}

void require(rd_kafka_error_t* error, const char* what) {
  const Error owned{error};
  if (owned) throw std::runtime_error(std::string{what} + ": " + rd_kafka_error_string(error));
}

Client make_client(rd_kafka_type_t type,
                   const std::vector<std::pair<std::string, std::string>>& settings) {
  std::array<char, 512> reason{};
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  for (const auto& [name, value] : settings) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), reason.data(), reason.size()) !=
        RD_KAFKA_CONF_OK) {
      rd_kafka_conf_destroy(conf);
      throw std::runtime_error(reason.data());
    }
  }
  Client client{rd_kafka_new(type, conf, reason.data(), reason.size())};
  if (!client) throw std::runtime_error(reason.data());
  return client;
}

Client make_producer(const Options& options) {
  return make_client(RD_KAFKA_PRODUCER, {{"bootstrap.servers", options.bootstrap},
                                         {"transactional.id", "bench-" + options.topic},
                                         {"linger.ms", "0"},
                                         {"socket.nagle.disable", "true"},
                                         {"acks", "all"}});
}

// A consumer of the partition, from `offset` on.
Client make_consumer(const Options& options, std::int64_t offset) {
  Client client = make_client(RD_KAFKA_CONSUMER, {{"bootstrap.servers", options.bootstrap},
                                                  {"group.id", "bench"},
                                                  {"isolation.level", "read_committed"},
                                                  {"enable.auto.commit", "false"},
                                                  {"socket.nagle.disable", "true"},
                                                  {"check.crcs", "true"}});
  const Partitions partitions{rd_kafka_topic_partition_list_new(1)};
  rd_kafka_topic_partition_list_add(partitions.get(), options.topic.c_str(), partition)->offset =
      offset;
  require(rd_kafka_assign(client.get(), partitions.get()), "assign");
  return client;
}

std::pair<std::int64_t, std::int64_t> ends(rd_kafka_t* client, const Options& options) {
  std::int64_t low = 0;
  std::int64_t high = 0;
  require(rd_kafka_query_watermark_offsets(client, options.topic.c_str(), partition, &low, &high,
                                           wait_max_ms),
          "asking for the topic's end");
  return {low, high};
}

void create_topic(rd_kafka_t* client, const Options& options) {
  NewTopic topic{rd_kafka_NewTopic_new(options.topic.c_str(), 1, 1, nullptr, 0)};
  rd_kafka_NewTopic_t* one = topic.get();
  const Queue queue{rd_kafka_queue_new(client)};
  rd_kafka_CreateTopics(client, &one, 1, nullptr, queue.get());
  const Event done{rd_kafka_queue_poll(queue.get(), wait_max_ms)};
  if (!done) throw std::runtime_error("no broker has created the topic");
  std::size_t count = 0;
  const auto* const* results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(done.get()), &count);
  const auto error =
      count == 1 ? rd_kafka_topic_result_error(results[0]) : rd_kafka_event_error(done.get());
  if (error != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) require(error, "creating the topic");
}

// Takes `count` records; what Kafka keeps for itself isn't shown.
void read_back(rd_kafka_t* consumer, std::size_t count) {
  for (std::size_t taken = 0; taken < count;) {
    const Message message{rd_kafka_consumer_poll(consumer, wait_max_ms)};
    if (!message) throw std::runtime_error("a transaction doesn't come back");
    require(message->err, "reading back");
    ++taken;
  }
}

void commit(const Options& options) {
  const Client producer = make_producer(options);
  create_topic(producer.get(), options);
  require(rd_kafka_init_transactions(producer.get(), wait_max_ms), "init_transactions");
  const Client consumer = make_consumer(options, ends(producer.get(), options).second);
  const Topic topic{rd_kafka_topic_new(producer.get(), options.topic.c_str(), nullptr)};
  std::string value(options.bytes, 'e');
  std::vector<double> latencies_us;
  const auto transact = [&] {
    require(rd_kafka_begin_transaction(producer.get()), "begin_transaction");
    for (std::size_t i = 0; i < options.records; ++i) {
      if (rd_kafka_produce(topic.get(), partition, RD_KAFKA_MSG_F_COPY, value.data(), value.size(),
                           nullptr, 0, nullptr) != 0) {
        require(rd_kafka_last_error(), "writing");
      }
    }
    require(rd_kafka_commit_transaction(producer.get(), wait_max_ms), "commit_transaction");
    read_back(consumer.get(), options.records);
  };
  transact();  // the first one has metadata to ask for
  const auto started = Clock::now();
  const auto end = started + std::chrono::duration<double>{options.seconds};
  while (Clock::now() < end) {
    const auto begun = Clock::now();
    transact();
    latencies_us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begun).count());
  }
  const std::chrono::duration<double> took = Clock::now() - started;
  const auto count = static_cast<double>(latencies_us.size());
  std::ranges::sort(latencies_us);
  const auto at = [&](double part) {
    return latencies_us[static_cast<std::size_t>((count - 1) * part)];
  };
  std::cout << "{\"rate\":" << count * static_cast<double>(options.records) / took.count()
            << ",\"transactions\":" << latencies_us.size() << ",\"p50_us\":" << at(0.5)
            << ",\"p99_us\":" << at(0.99) << ",\"errors\":0}\n";
}

void read(const Options& options) {
  const auto started = Clock::now();
  const Client consumer = make_consumer(options, RD_KAFKA_OFFSET_BEGINNING);
  const std::int64_t end = ends(consumer.get(), options).second;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  for (std::int64_t next = 0; next < end;) {
    const Message message{rd_kafka_consumer_poll(consumer.get(), poll_ms)};
    // The last offsets may be Kafka's own, of which nothing comes.
    if (!message) break;
    require(message->err, "reading");
    ++records;
    bytes += message->len;
    next = message->offset + 1;
    // A transaction's own record follows the last one of ours.
    if (next >= end - 1) break;
  }
  const std::chrono::duration<double> took = Clock::now() - started;
  std::cout << "{\"records\":" << records << ",\"bytes\":" << bytes
            << ",\"seconds\":" << took.count()
            << ",\"rate\":" << static_cast<double>(records) / took.count() << "}\n";
}

}  // namespace

int main(int argc, char** argv) try {
  Options options;
  CLI::App app("Measures Kafka itself, in a bare loop over librdkafka.");
  app.require_subcommand(1);
  CLI::App* committing = app.add_subcommand("commit", "Commit transactions and read them back");
  CLI::App* reading = app.add_subcommand("read", "Read a topic and throw it away");
  for (CLI::App* one : {committing, reading}) {
    one->add_option("--bootstrap", options.bootstrap, "a broker's address");
    one->add_option("--topic", options.topic, "the topic; commit creates it");
  }
  committing->add_option("--records", options.records, "of a transaction")
      ->check(CLI::Range(1, 10000));
  committing->add_option("--bytes", options.bytes, "of a record")->check(CLI::Range(1, 1048576));
  committing->add_option("--seconds", options.seconds, "how long")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  if (committing->parsed()) {
    commit(options);
  } else {
    read(options);
  }
  return 0;
} catch (const std::exception& error) {
  std::cerr << "bench_kafka: " << error.what() << '\n';
  return 1;
}
