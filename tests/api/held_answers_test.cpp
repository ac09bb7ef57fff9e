#include "api/held_answers.hpp"

#include <gtest/gtest.h>

#include <vector>

// How much may be held of answers that aren't taken.
namespace contactd::api {
namespace {

class HeldAnswersTest : public testing::Test {
 protected:
  Response asked(const std::string& organization, std::size_t bytes) {
    Response response;
    response.body = std::string(bytes, 'x');
    return answers_.admit(std::move(response), organization, ErrorFormat::plain);
  }
  int status(const std::string& organization, std::size_t bytes) {
    return asked(organization, bytes).status;
  }

  HeldAnswers answers_{{100, 250, 10}};
};

TEST_F(HeldAnswersTest, OfOneOrganizationAreBounded) {
  const Response first = asked("a", 60);
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.body.size(), 60U);
  const Response refused = asked("a", 41);
  EXPECT_EQ(refused.status, 503);
  EXPECT_LT(refused.body.size(), 300U);
  EXPECT_EQ(status("a", 40), 200);
  EXPECT_EQ(status("b", 100), 200);
}

TEST_F(HeldAnswersTest, AreBoundedInAll) {
  std::vector<Response> held;
  for (const char* organization : {"a", "b"}) held.push_back(asked(organization, 100));
  EXPECT_EQ(status("c", 51), 503);
  EXPECT_EQ(status("c", 50), 200);
}

TEST_F(HeldAnswersTest, AreForgottenOnceTheyHaveBeenTaken) {
  {
    const Response first = asked("a", 100);
    const HeldAnswers::Hold copy = first.hold;
    EXPECT_EQ(status("a", 11), 503);
  }
  EXPECT_EQ(status("a", 100), 200);
}

TEST_F(HeldAnswersTest, ThatAreShortAreNeverRefused) {
  const Response first = asked("a", 100);
  const Response second = asked("a", 10);
  EXPECT_EQ(second.status, 200);
  EXPECT_EQ(second.hold, nullptr);
}

}  // namespace
}  // namespace contactd::api
