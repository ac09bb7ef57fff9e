#include <gtest/gtest.h>

#include "tests/support/kafka_broker.hpp"

// Starts the broker that all tests share; without one, none runs, and that has been said.
int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (contactd::test::shared_kafka_broker() == nullptr) return contactd::test::exit_code_not_run;
  return RUN_ALL_TESTS();
}
