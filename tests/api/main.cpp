#include <gtest/gtest.h>

#include "tests/support/api_fixture.hpp"
#include "tests/support/kafka_broker.hpp"
#include "tests/support/server_process.hpp"

namespace {

// What is about the embedded log's files in the data directory, and can't be where the log is a
// topic.
constexpr auto embedded_only =
    "EventsOfAServer.ACursorFromAfterABackupIsGoneOnceThatIsRestored:"
    "Readme.TheOperatorsCommandsWork";

void leave_out(const std::string& tests) {
  const std::string filter = GTEST_FLAG_GET(filter);
  const bool leaves_some_out = filter.find('-') != std::string::npos;
  GTEST_FLAG_SET(filter, filter + (leaves_some_out ? ":" : "-") + tests);
}

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (contactd::test::tests_run_on_kafka()) leave_out(embedded_only);
  // It has said why; without a server there is nothing to test.
  if (contactd::test::tests_run_on_kafka() && contactd::test::shared_kafka_broker() == nullptr) {
    return contactd::test::exit_code_not_run;
  }
  ::testing::AddGlobalTestEnvironment(new contactd::test::ApiEnvironment);  // gtest owns it
  return RUN_ALL_TESTS();
}
