#include <gtest/gtest.h>

#include "tests/support/kafka_broker.hpp"
#include "tests/support/server_process.hpp"

// Where the servers' logs are to be on Kafka, the broker that all tests share must be there.
int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (contactd::test::tests_run_on_kafka() && contactd::test::shared_kafka_broker() == nullptr) {
    return contactd::test::exit_code_not_run;
  }
  return RUN_ALL_TESTS();
}
