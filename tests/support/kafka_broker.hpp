#pragma once

#include <signal.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/child_process.hpp"
#include "tests/support/temporary_directory.hpp"

namespace contactd::test {

// Apache Kafka in processes of its own, on free ports of 127.0.0.1 and a directory that is removed
// with this object: one broker, or three that hold each record three times. The brokers die with
// the thread that started them, so start and restart them from the test program's main thread.
// tests/kafka/broker.py has the settings.
// Throws std::runtime_error, with the broker's log in it, where a broker doesn't do as it should.
// Threads: one at a time.
class KafkaBroker {
 public:
  static constexpr std::chrono::milliseconds start_wait_max{90'000};

  // Why no broker can be started here; nothing if one can. Printed as SUITE NOT RUN, which counts
  // as a failure in CI.
  static std::optional<std::string> why_unavailable();

  // Starts `count` (1 or 3) brokers, and returns when all of them answer.
  explicit KafkaBroker(int count = 1);
  ~KafkaBroker();

  // Where clients start from, `HOST:PORT,...`; the same for as long as this lives.
  const std::string& bootstrap() const { return bootstrap_; }
  int count() const { return static_cast<int>(processes_.size()); }

  // The flags of a server whose log is a topic here, made by the first that starts; servers with
  // the same name share it, and the work.
  std::vector<std::string> serve_flags(const std::string& name, int partitions = 1) const;

  // Brokers are numbered from 1, as Kafka's ids are.
  // SIGKILL; the data stays.
  void kill(int broker = 1);
  // Starts a killed broker again, with its ports and data.
  void restart(int broker = 1);
  // restart() without waiting for an answer.
  void begin_restart(int broker = 1);
  // Until all brokers that run take part and answer.
  void wait_until_ready();
  // SIGSTOP and SIGCONT.
  void pause(int broker = 1) { process(broker).send_signal(SIGSTOP); }
  void resume(int broker = 1) { process(broker).send_signal(SIGCONT); }

  // The broker that leads the partition now. Waits until there is one.
  int leader_of(const std::string& topic, std::uint32_t partition) const;

 private:
  ChildProcess& process(int broker) { return *processes_.at(static_cast<std::size_t>(broker - 1)); }

  TemporaryDirectory directory_;
  std::string cluster_ = (directory_.path() / "cluster").string();
  std::vector<std::unique_ptr<ChildProcess>> processes_;
  std::string bootstrap_;
};

// The one broker that all tests of a program share, started when first asked for; null where none
// can be, and then it has been said why. It ends with the program.
KafkaBroker* shared_kafka_broker();

// Of a test program that could run nothing; ctest takes it for skipped.
inline constexpr int exit_code_not_run = 77;

}  // namespace contactd::test

// In a test: skips it where no broker can be started.
#define CONTACTD_NEEDS_KAFKA()                                                            \
  if (const auto why = contactd::test::KafkaBroker::why_unavailable(); why.has_value()) { \
    GTEST_SKIP() << *why;                                                                 \
  }
