#include "tests/system/kafka_topic.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <cstdlib>

#include "tests/support/eventually.hpp"
#include "tests/support/http_client.hpp"

namespace contactd::test {
namespace {

constexpr int rounds_default = 1;
constexpr std::chrono::milliseconds ready_wait_max{90'000};

}  // namespace

int kafka_rounds() {
  const char* const given = std::getenv("CONTACTD_KAFKA_ROUNDS");
  return given != nullptr ? std::atoi(given) : rounds_default;
}

KafkaTopic new_topic(const KafkaBroker& broker) {
  static std::atomic<int> count = 0;
  KafkaTopic topic;
  topic.name = "system-test-" + std::to_string(++count);
  topic.settings.flags = broker.serve_flags(topic.name, kafka_partitions);
  // So that what one server has made of its data directory works on the others.
  topic.settings.environment = {{"CONTACTD_ADMIN_KEY", "the admin key of all servers"}};
  topic.config.bootstrap = broker.bootstrap();
  topic.config.topic = topic.name;
  topic.config.name_space = topic.name;
  topic.config.partitions = kafka_partitions;
  topic.config.replication = static_cast<std::uint32_t>(broker.count());
  topic.config.min_insync = broker.count() > 1 ? 2 : 1;
  return topic;
}

int partitions_served(const ServerProcess& server) {
  const auto answer = HttpClient{server.port()}.request("GET", "/readyz").json();
  int served = 0;
  for (const auto& partition : answer.at("partitions").as_array()) {
    if (partition.at("state") == "serving") ++served;
  }
  return served;
}

unsigned readiness(const ServerProcess& server) {
  return HttpClient{server.port()}.request("GET", "/readyz").status;
}

void expect_ready_again(const ServerProcess& server) {
  EXPECT_TRUE(eventually([&] { return readiness(server) == 200; }, ready_wait_max))
      << HttpClient{server.port()}.request("GET", "/readyz").body << '\n'
      << server.log();
}

}  // namespace contactd::test
