#include <gmock/gmock.h>

#include <fstream>

#include "tests/support/api_fixture.hpp"

// `contactd serve` with a log that it can't or mustn't use.
namespace contactd::test {
namespace {

using testing::HasSubstr;
using testing::Not;

Finished serve(std::vector<std::string> flags) {
  flags.insert(flags.begin(), {contactd_binary(), "serve", "--listen", "127.0.0.1:0"});
  return run_program(std::move(flags));
}

TEST(ServeCommand, RefusesAKafkaPropertyThatIsWrongOrItsOwn) {
  for (const auto& [property, sentence] :
       {std::pair{"acks=1", "acks can't be given"}, std::pair{"no.such=1", "no property no.such"},
        std::pair{"socket.timeout.ms=hunter2", "socket.timeout.ms"},
        std::pair{"nothing", "name=value"}}) {
    const Finished refused = serve({"--log", "kafka", "--kafka-conf", property});
    EXPECT_EQ(refused.status, exited(2)) << property;
    EXPECT_THAT(refused.err, HasSubstr(sentence));
    EXPECT_THAT(refused.err, Not(HasSubstr("hunter2")));
  }
}

TEST(ServeCommand, RefusesProjectionsOfAnotherLog) {
  const TemporaryDirectory directory;
  const std::filesystem::path data = directory.path() / "data";
  std::filesystem::create_directories(data / "projections");
  std::ofstream{data / "projections.log"} << "kafka cluster X, topic contacts.events\n";

  const Finished refused = serve({"--data-dir", data.string()});
  EXPECT_EQ(refused.status, exited(1));
  EXPECT_THAT(refused.err, HasSubstr("of another log (kafka cluster X, topic contacts.events)"));
  EXPECT_THAT(refused.err, HasSubstr("remove the directory"));
}

}  // namespace
}  // namespace contactd::test
