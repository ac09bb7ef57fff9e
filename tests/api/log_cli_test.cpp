#include <gmock/gmock.h>
#include <signal.h>

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
  ServerProcess server{{{"--log", "embedded"}, {}}};
  EXPECT_EQ(server.stop(), exited(0));
  std::ofstream{server.data_dir() / "projections.log"}
      << "kafka cluster X, topic contacts.events\n";

  const Finished refused = serve({"--data-dir", server.data_dir().string()});
  EXPECT_EQ(refused.status, exited(1));
  EXPECT_THAT(refused.err, HasSubstr("of another log (kafka cluster X, topic contacts.events)"));
  EXPECT_THAT(refused.err, HasSubstr("remove the directory"));
}

// A start that hadn't come to folding anything leaves nothing that could be of the wrong log.
TEST(ServeCommand, TakesProjectionsThatHaveFoldedNothing) {
  const TemporaryDirectory directory;
  const std::filesystem::path data = directory.path() / "data";
  std::filesystem::create_directories(data / "projections");
  std::ofstream{data / "projections.log"} << "kafka cluster X, topic contacts.events\n";
  ChildProcess server{{{contactd_binary(), "serve", "--listen", "127.0.0.1:0", "--log", "embedded",
                        "--data-dir", data.string()},
                       {},
                       directory.path() / "stderr",
                       {}}};
  EXPECT_THAT(server.read_line(ServerProcess::start_wait_max).value_or("nothing"),
              HasSubstr("contactd ready"));
  server.send_signal(SIGTERM);
  EXPECT_EQ(server.wait(ServerProcess::stop_wait_max), exited(0));
}

// A backup that is too old, or another server's: nothing mends it while the server runs.
TEST(ServeCommand, EndsWhereTheLogLacksWhatWasFolded) {
  ServerProcess server{{{"--log", "embedded"}, {}}};
  EXPECT_EQ(server.stop(), exited(0));
  std::filesystem::remove_all(server.data_dir() / "log");
  const std::vector<std::string> flags = {"--log", "embedded", "--data-dir",
                                          server.data_dir().string()};

  const Finished lost = serve(flags);
  EXPECT_EQ(lost.status, exited(1)) << lost.err;
  EXPECT_THAT(lost.err, HasSubstr("there are projections but no log"));
  EXPECT_THAT(lost.err, HasSubstr("contactd restore"));

  std::filesystem::create_directory(server.data_dir() / "log");
  const Finished refused = serve(flags);
  EXPECT_EQ(refused.status, exited(1)) << refused.err;
  EXPECT_THAT(refused.err, HasSubstr("it has lost records"));
  EXPECT_THAT(refused.err, HasSubstr("remove the projections' directory"));
  EXPECT_THAT(refused.err, Not(HasSubstr("reads go on")));
}

TEST(ServeCommand, ReadsItsKafkaFlagsFromAFile) {
  const TemporaryDirectory directory;
  const std::string file = (directory.path() / "contactd.conf").string();
  for (const auto& [lines, sentence] :
       {std::pair{R"(kafka-conf = ["client.rack=a", "acks=1"])", "acks can't be given"},
        std::pair{R"(kafka-conf = "acks=1")", "acks can't be given"},
        std::pair{R"(kafka-conf = ["client.rack=a", "no.such=1"])", "no property no.such"},
        std::pair{R"(kafka-create-topic = "perhaps")", "kafka-create-topic"},
        std::pair{R"(kafka-allow-unsafe = "no way")", "kafka-allow-unsafe"},
        std::pair{R"(kafka-partitions = 0)", "kafka-partitions"}}) {
    std::ofstream{file} << "log = \"kafka\"\n" << lines << '\n';
    const Finished refused = serve({"--config", file, "--data-dir", directory.path() / "data"});
    EXPECT_EQ(refused.status, exited(2)) << lines << refused.err;
    EXPECT_THAT(refused.err, HasSubstr(sentence));
  }
}

}  // namespace
}  // namespace contactd::test
