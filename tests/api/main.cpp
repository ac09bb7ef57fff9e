#include <gtest/gtest.h>

#include "tests/support/api_fixture.hpp"
#include "tests/support/kafka_broker.hpp"
#include "tests/support/server_process.hpp"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  // It has said why; without a server there is nothing to test.
  if (contactd::test::tests_run_on_kafka() && contactd::test::shared_kafka_broker() == nullptr) {
    return contactd::test::exit_code_not_run;
  }
  ::testing::AddGlobalTestEnvironment(new contactd::test::ApiEnvironment);  // gtest owns it
  return RUN_ALL_TESTS();
}
