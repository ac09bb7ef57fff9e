#include <gtest/gtest.h>

#include "tests/support/api_fixture.hpp"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  ::testing::AddGlobalTestEnvironment(new contactd::test::ApiEnvironment);  // gtest owns it
  return RUN_ALL_TESTS();
}
