#include "infra/kafka_event_log.hpp"

#include <gtest/gtest.h>

#include "infra/errors.hpp"
#include "tests/infra/event_log_conformance.hpp"
#include "tests/kafka/topic_under_test.hpp"

namespace contactd::test {
namespace {

// The rival is another process's log as far as Kafka can tell: it shares nothing with the first.
class KafkaLogUnderTest {
 public:
  infra::EventLog& log() { return *log_; }
  infra::EventLog& rival() { return *rival_; }
  void reopen() {
    log_.reset();
    rival_.reset();
    log_ = infra::open_kafka_event_log(config_, metrics_);
    rival_ = infra::open_kafka_event_log(config_, metrics_);
  }

 private:
  infra::KafkaConfig config_ = new_topic();
  infra::Metrics metrics_;
  std::unique_ptr<infra::EventLog> log_ = infra::open_kafka_event_log(config_, metrics_);
  std::unique_ptr<infra::EventLog> rival_ = infra::open_kafka_event_log(config_, metrics_);
};

using Kafka = testing::Types<KafkaLogUnderTest>;
INSTANTIATE_TYPED_TEST_SUITE_P(Kafka, EventLogConformance, Kafka);

}  // namespace
}  // namespace contactd::test
