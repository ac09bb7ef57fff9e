// The server on a topic that somebody changes, and on projections that are another log's.

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <array>
#include <filesystem>

#include "tests/kafka/topic_under_test.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/server_process.hpp"

namespace contactd::test {
namespace {

using namespace std::chrono_literals;

// Longer than anything here takes on a machine that is busy; only a failure waits for it.
constexpr std::chrono::seconds wait_max{60};
constexpr int request_wait_max_ms = 30'000;

ServerSettings settings_on(const std::string& topic) {
  ServerSettings settings;
  settings.flags = shared_kafka_broker()->serve_flags(topic, 2);
  // So that the group hears of new partitions soon.
  settings.flags.insert(settings.flags.end(),
                        {"--kafka-conf", "topic.metadata.refresh.interval.ms=500"});
  return settings;
}

// Gives the topic `count` partitions in all.
void add_partitions(const std::string& topic, std::size_t count) {
  std::array<char, 512> why{};
  rd_kafka_conf_t* const conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", shared_kafka_broker()->bootstrap().c_str(),
                    why.data(), why.size());
  rd_kafka_t* const client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why.data(), why.size());
  ASSERT_NE(client, nullptr) << why.data();
  rd_kafka_queue_t* const queue = rd_kafka_queue_new(client);
  rd_kafka_NewPartitions_t* wanted =
      rd_kafka_NewPartitions_new(topic.c_str(), count, why.data(), why.size());
  rd_kafka_CreatePartitions(client, &wanted, 1, nullptr, queue);
  rd_kafka_event_t* const event = rd_kafka_queue_poll(queue, request_wait_max_ms);
  ASSERT_NE(event, nullptr);
  std::size_t results = 0;
  const auto* const result = rd_kafka_CreatePartitions_result_topics(
      rd_kafka_event_CreatePartitions_result(event), &results);
  ASSERT_EQ(results, 1U);
  EXPECT_EQ(rd_kafka_topic_result_error(result[0]), RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_event_destroy(event);
  rd_kafka_NewPartitions_destroy(wanted);
  rd_kafka_queue_destroy(queue);
  rd_kafka_destroy(client);
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

unsigned readiness(const ServerProcess& server) {
  return HttpClient{server.port()}.request("GET", "/readyz").status;
}

class KafkaServer : public testing::Test {
 protected:
  void SetUp() override { CONTACTD_NEEDS_KAFKA(); }
};

TEST_F(KafkaServer, GoesOnWithItsPartitionsWhereSomebodyAddsSomeAndRefusesToStart) {
  const std::string topic = new_topic().topic;
  ServerProcess server{settings_on(topic)};
  ASSERT_TRUE(eventually([&] { return readiness(server) == 200; }, wait_max)) << server.log();
  add_partitions(topic, 5);
  ASSERT_TRUE(eventually(
      [&] { return count_of(server.log(), "partitions are this instance's") == 2; }, wait_max))
      << server.log();
  EXPECT_TRUE(eventually([&] { return readiness(server) == 200; }, wait_max)) << server.log();
  EXPECT_EQ(server.stop(), exited(0));
  EXPECT_THROW(server.start(), std::runtime_error);
  EXPECT_NE(server.log().find("partitions can't be added"), std::string::npos) << server.log();
}

TEST_F(KafkaServer, RefusesTheProjectionsOfAnotherLog) {
  ServerProcess server{{{"--log", "embedded"}, {}}};
  EXPECT_EQ(server.stop(), exited(0));
  const ServerSettings kafka = settings_on(new_topic().topic);
  EXPECT_THROW(server.start(kafka), std::runtime_error);
  EXPECT_EQ(count_of(server.log(), "are of another log"), 1U) << server.log();

  // Releases that knew the embedded log only didn't write down which it was.
  std::filesystem::remove(server.data_dir() / "projections.log");
  EXPECT_THROW(server.start(kafka), std::runtime_error);
  EXPECT_EQ(count_of(server.log(), "are of another log"), 2U) << server.log();

  std::filesystem::remove_all(server.data_dir() / "projections");
  server.start(kafka);
  EXPECT_EQ(server.stop(), exited(0));
}

}  // namespace
}  // namespace contactd::test
