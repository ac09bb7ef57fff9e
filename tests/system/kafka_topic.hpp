#pragma once

#include <string>

#include "infra/kafka_config.hpp"
#include "tests/support/kafka_broker.hpp"
#include "tests/support/server_process.hpp"

namespace contactd::test {

// CONTACTD_KAFKA_ROUNDS, of each test that does its worst again and again.
int kafka_rounds();

inline constexpr int kafka_partitions = 2;

// A topic that nobody else uses, for the servers of one test.
struct KafkaTopic {
  std::string name;
  ServerSettings settings;    // of a server on it
  infra::KafkaConfig config;  // to read it with
};
KafkaTopic new_topic(const KafkaBroker& broker);

// How many partitions the server writes now, as /readyz says.
int partitions_served(const ServerProcess& server);
// What /readyz answers.
unsigned readiness(const ServerProcess& server);
// Waits for it to be 200; a failure of the test if it isn't in time.
void expect_ready_again(const ServerProcess& server);

}  // namespace contactd::test
