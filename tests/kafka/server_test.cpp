// The server on a topic that somebody changes, and on projections that are another log's.

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <stdexcept>

#include "infra/read_store.hpp"
#include "projections/key_layout.hpp"
#include "tests/kafka/topic_admin.hpp"
#include "tests/kafka/topic_under_test.hpp"
#include "tests/support/api_fixture.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"
#include "tests/support/server_process.hpp"
#include "tests/support/starting_server.hpp"

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

// The group would wait for the one that was killed for longer than this test does.
TEST_F(KafkaServer, HasItsPartitionsAgainAsSoonAsItIsBack) {
  ServerSettings settings = settings_on(new_topic().topic);
  settings.flags.insert(settings.flags.end(), {"--kafka-conf", "session.timeout.ms=300000",
                                               "--kafka-conf", "max.poll.interval.ms=300000"});
  ServerProcess server{settings};
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(eventually([&] { return readiness(server) == 200; }, wait_max)) << server.log();
    server.kill();
    server.start();
  }
  EXPECT_TRUE(eventually([&] { return readiness(server) == 200; }, wait_max)) << server.log();
  EXPECT_EQ(server.stop(), exited(0));
}

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

// The next start refuses it: high time that somebody hears of it.
TEST_F(KafkaServer, TellsOfRecordsThatAreDeletedMeanwhile) {
  const infra::KafkaConfig topic = new_topic();
  const ServerProcess server{settings_on(topic.topic)};
  ASSERT_TRUE(eventually([&] { return readiness(server) == 200; }, wait_max)) << server.log();
  TopicAdmin{topic}.delete_records(1, 1);
  EXPECT_TRUE(eventually(
      [&] { return count_of(server.log(), "partition 1: records were deleted") == 1; }, wait_max))
      << server.log();
  EXPECT_NE(HttpClient{server.port()}
                .request("GET", "/metrics")
                .body.find("contactd_kafka_start_offset{partition=\"1\"} 1"),
            std::string::npos);
}

// Another instance may have made it, and it isn't folded here yet.
TEST_F(KafkaServer, SaysThatThereIsNoSuchKeyOnlyWhereAllPartitionsAreItsOwn) {
  const std::string topic = new_topic().topic;
  const auto statuses = [](const ServerProcess& server) {
    ApiUser admin = admin_of(server);
    const std::string key = "/admin/v1/keys/AbCdEfGhIjKlMnOp";
    return std::pair{admin.send("DELETE", key).status(),
                     admin.send("POST", key + "/rotate").status()};
  };
  const std::pair none{404U, 404U};
  const std::pair unknown{503U, 503U};
  ServerProcess one{settings_on(topic)};
  ASSERT_TRUE(eventually([&] { return statuses(one) == none; }, wait_max)) << one.log();

  ServerProcess other{settings_on(topic)};
  EXPECT_TRUE(eventually([&] { return statuses(one) == unknown; }, wait_max)) << one.log();
  EXPECT_TRUE(eventually([&] { return readiness(other) == 200; }, wait_max)) << other.log();
  EXPECT_EQ(statuses(other), unknown);
  const Answer refused = admin_of(other).send("DELETE", "/admin/v1/keys/AbCdEfGhIjKlMnOp");
  refused.then(503).with_header("Retry-After").with_error_naming("another one may have made it");

  EXPECT_EQ(other.stop(), exited(0));
  EXPECT_TRUE(eventually([&] { return statuses(one) == none; }, wait_max)) << one.log();
  EXPECT_EQ(one.stop(), exited(0));
}

// Made anew under its name, and longer by now than what was folded of the old one.
TEST_F(KafkaServer, RefusesTheProjectionsOfATopicThatWasMadeAnew) {
  const infra::KafkaConfig topic = new_topic();
  const auto write_contacts = [](const ServerProcess& server, int count) {
    ApiUser user = given_user(server, "write", "acme");
    for (int i = 0; i < count; ++i) user.given_contact();
  };
  ServerProcess server{settings_on(topic.topic)};
  write_contacts(server, 3);
  EXPECT_EQ(server.stop(), exited(0));
  TopicAdmin{topic}.remove();
  {
    ServerProcess other{settings_on(topic.topic)};
    write_contacts(other, 9);
    EXPECT_EQ(other.stop(), exited(0));
  }
  EXPECT_THROW(server.start(), std::runtime_error);
  EXPECT_NE(server.log().find("aren't of the Kafka topic " + topic.topic), std::string::npos)
      << server.log();
  const Finished verified = run_program({contactd_binary(), "verify", "--log", "kafka",
                                         "--kafka-bootstrap", topic.bootstrap, "--kafka-topic",
                                         topic.topic, "--data-dir", server.data_dir().string()});
  EXPECT_EQ(verified.status, exited(1)) << verified.err;
  EXPECT_NE(verified.out.find("aren't of this log, by its partition"), std::string::npos)
      << verified.out;
  std::filesystem::remove_all(server.data_dir() / "projections");
  server.start();
  EXPECT_EQ(server.stop(), exited(0));
}

// Of another release's format; and then the topic is lost, too.
TEST_F(KafkaServer, KeepsProjectionsThatItCannotUseUntilTheTopicHasTheirs) {
  const infra::KafkaConfig topic = new_topic();
  ServerProcess server{settings_on(topic.topic)};
  ApiUser user = given_user(server, "write", "acme");
  const Contact contact = user.given_contact();
  EXPECT_EQ(server.stop(), exited(0));
  const std::filesystem::path projections = server.data_dir() / "projections";
  const auto make_of_another_format = [&] {
    const auto store = infra::open_read_store(projections);
    const auto batch = store->begin();
    batch->put(projections::Table::meta, std::string{projections::keys::format},
               std::string{"\0\0\0\x7f", 4});
    batch->commit();
    store->flush();
  };
  make_of_another_format();
  server.start();
  ApiUser{server.port(), user.key()}.read(contact.id).then(200);
  EXPECT_EQ(server.stop(), exited(0));
  EXPECT_FALSE(std::filesystem::exists(server.data_dir() / "projections-1"));

  make_of_another_format();
  TopicAdmin{topic}.remove();
  for (int starts = 0; starts < 2; ++starts) {
    EXPECT_THROW(server.start(), std::runtime_error);
    EXPECT_NE(server.log().find("the Kafka topic " + topic.topic + " is empty"), std::string::npos)
        << server.log();
    EXPECT_EQ(infra::open_usable_read_store(projections), nullptr);
  }
}

// A broker that takes connections, and is silent after that.
TEST_F(KafkaServer, StopsWhileItsBrokerIsSilent) {
  const infra::KafkaConfig topic = new_topic();
  ServerProcess server{settings_on(topic.topic)};
  ASSERT_TRUE(eventually([&] { return readiness(server) == 200; }, wait_max)) << server.log();
  EXPECT_EQ(server.stop(), exited(0));
  std::vector<std::string> flags = settings_on(topic.topic).flags;
  for (const auto pause : {0ms, 100ms, 200ms, 300ms, 400ms}) {
    StartingServer starting{flags};
    const auto deadline = std::chrono::steady_clock::now() + pause;
    eventually([&] { return std::chrono::steady_clock::now() >= deadline; }, wait_max);
    shared_kafka_broker()->pause();
    EXPECT_EQ(starting.stop(), exited(0)) << pause.count() << ": " << starting.log();
    shared_kafka_broker()->resume();
  }
}

TEST_F(KafkaServer, ComesUpWithoutABrokerAndServesOnceThereIsOne) {
  KafkaBroker broker;
  broker.kill();
  StartingServer server{broker.serve_flags("contacts.late")};
  EXPECT_EQ(server.get("/healthz").status, 200U);
  const Response waiting = server.get("/readyz");
  EXPECT_EQ(waiting.status, 503U);
  EXPECT_NE(waiting.body.find("waiting for a Kafka broker at " + broker.bootstrap()),
            std::string::npos)
      << waiting.body;
  const Response refused = server.get("/api/v1/contacts");
  EXPECT_EQ(refused.status, 503U);
  EXPECT_TRUE(refused.header("Retry-After").has_value());
  broker.restart();
  EXPECT_TRUE(server.becomes_ready()) << server.log();
  EXPECT_TRUE(eventually([&] { return server.get("/readyz").status == 200; }, wait_max))
      << server.log();
  EXPECT_EQ(server.stop(), exited(0)) << server.log();
}

TEST_F(KafkaServer, EndsWhenItIsToldToWhileThereIsNoBroker) {
  KafkaBroker broker;
  broker.kill();
  StartingServer server{broker.serve_flags("contacts.never")};
  EXPECT_EQ(server.stop(), exited(0)) << server.log();
}

TEST_F(KafkaServer, TakesAllOfItsFlagsFromAFile) {
  const TemporaryDirectory directory;
  const std::string file = (directory.path() / "contactd.conf").string();
  std::ofstream{file} << "log = \"kafka\"\n"
                      << "kafka-bootstrap = \"" << shared_kafka_broker()->bootstrap() << "\"\n"
                      << "kafka-topic = \"" << new_topic().topic << "\"\n"
                      << "kafka-create-topic = true\nkafka-allow-unsafe = false\n"
                      << "kafka-partitions = 1\nkafka-replication = 1\nkafka-min-insync = 1\n"
                      << "kafka-conf = [\"client.rack=a\", \"debug=conf\"]\n";
  ServerProcess server{{{"--config", file, "--log-level", "debug"}, {}}};
  EXPECT_NE(server.log().find("client.rack = a"), std::string::npos) << server.log();
  EXPECT_EQ(server.stop(), exited(0));
}

}  // namespace
}  // namespace contactd::test
