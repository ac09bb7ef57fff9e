// `contactd verify` on a topic: the chain is the same there, in headers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/kafka/topic_under_test.hpp"
#include "tests/support/server_process.hpp"
#include "tests/system/some_contacts.hpp"

namespace contactd::test {
namespace {

using testing::HasSubstr;

TEST(KafkaVerify, ProvesATopicAndTheProjectionsOfIt) {
  const std::string topic = new_topic().topic;
  ServerProcess server{{shared_kafka_broker()->serve_flags(topic, 2), {}}};
  write_some_contacts(server, 8);
  EXPECT_EQ(server.stop(), exited(0));
  const auto verify = [&](std::vector<std::string> flags) {
    flags.insert(flags.begin(), {contactd_binary(), "verify", "--data-dir",
                                 server.data_dir().string(), "--log", "kafka", "--kafka-bootstrap",
                                 shared_kafka_broker()->bootstrap(), "--kafka-topic", topic});
    return run_program(std::move(flags));
  };
  const Finished good = verify({"--json"});
  ASSERT_EQ(good.status, exited(0)) << good.out << good.err;
  const auto found = boost::json::parse(good.out);
  std::int64_t proven = 0;
  for (const auto& partition : found.at("partitions").as_array()) {
    proven += partition.at("proven").as_int64();
    if (partition.at("proven").as_int64() == 0) continue;
    const std::string head{partition.at("head").as_string()};
    EXPECT_EQ(verify({"--expect", head}).status, exited(0));
    std::string forged = head;
    forged.back() = forged.back() == '0' ? '1' : '0';
    const Finished differs = verify({"--expect", forged});
    EXPECT_EQ(differs.status, exited(1));
    EXPECT_THAT(differs.out, HasSubstr(forged));
  }
  // A key, and two events a contact, and those that were deleted.
  EXPECT_EQ(proven, 1 + 2 * 8 + 2);
  EXPECT_GT(found.at("projection_rows").as_int64(), 8);
}

}  // namespace
}  // namespace contactd::test
