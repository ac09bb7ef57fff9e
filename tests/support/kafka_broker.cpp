#include "tests/support/kafka_broker.hpp"

#include <charconv>
#include <iostream>
#include <stdexcept>
#include <utility>

namespace contactd::test {
namespace {

constexpr const char* python = "/usr/bin/python3";

std::string trimmed(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// Runs the script to its end; returns what it printed.
std::string run_script(std::vector<std::string> arguments) {
  const std::string command = arguments.at(0);
  arguments.insert(arguments.begin(), {python, CONTACTD_KAFKA_SCRIPT});
  const Finished finished = run_program(std::move(arguments), {}, {}, KafkaBroker::start_wait_max);
  if (finished.status != exited(0)) {
    throw std::runtime_error{"broker.py " + command + ": " + to_string(finished.status) + ": " +
                             finished.err};
  }
  return trimmed(finished.out);
}

std::unique_ptr<ChildProcess> start_broker(const std::string& cluster, int broker) {
  return std::make_unique<ChildProcess>(ChildProcess::Options{
      {python, CONTACTD_KAFKA_SCRIPT, "exec", cluster, std::to_string(broker)},
      {},
      cluster + "/stderr.log",
      {}});
}

std::optional<std::string> look_why_unavailable() {
  const Finished finished = run_program({python, CONTACTD_KAFKA_SCRIPT, "available"});
  if (finished.status == exited(0)) return std::nullopt;
  const std::string why = trimmed(finished.out + finished.err);
  std::cout << "SUITE NOT RUN: Kafka: " << why << '\n';
  return "Kafka: " + why;
}

}  // namespace

std::optional<std::string> KafkaBroker::why_unavailable() {
  static const std::optional<std::string> why = look_why_unavailable();
  return why;
}

KafkaBroker::KafkaBroker(int count)
    : bootstrap_(run_script({"prepare", cluster_, "--brokers", std::to_string(count)})) {
  for (int broker = 1; broker <= count; ++broker) {
    processes_.push_back(start_broker(cluster_, broker));
  }
  wait_until_ready();
}

KafkaBroker::~KafkaBroker() = default;

std::vector<std::string> KafkaBroker::serve_flags(const std::string& name, int partitions) const {
  return {"--log", "kafka", "--kafka-bootstrap", bootstrap_, "--kafka-topic", name,
          "--kafka-namespace", name, "--kafka-create-topic", "--kafka-partitions",
          std::to_string(partitions), "--kafka-replication", std::to_string(count()),
          "--kafka-min-insync", std::to_string(count() > 1 ? 2 : 1),
          // Instances that are gone are noticed soon, so that tests needn't wait for that.
          "--kafka-conf", "session.timeout.ms=2000", "--kafka-conf", "heartbeat.interval.ms=500"};
}

void KafkaBroker::kill(int broker) {
  process(broker).send_signal(SIGKILL);
  process(broker).wait(start_wait_max);
}

void KafkaBroker::begin_restart(int broker) {
  if (process(broker).running()) throw std::runtime_error{"the broker runs already"};
  processes_.at(static_cast<std::size_t>(broker - 1)) = start_broker(cluster_, broker);
}

void KafkaBroker::restart(int broker) {
  begin_restart(broker);
  wait_until_ready();
}

void KafkaBroker::wait_until_ready() {
  std::vector<std::string> arguments{"wait", cluster_};
  for (int broker = 1; broker <= count(); ++broker) {
    if (process(broker).running()) arguments.push_back(std::to_string(broker));
  }
  run_script(std::move(arguments));
}

int KafkaBroker::leader_of(const std::string& topic, std::uint32_t partition) const {
  const std::string printed = run_script({"leader", cluster_, topic, std::to_string(partition)});
  int broker = 0;
  const auto [end, ec] = std::from_chars(printed.data(), printed.data() + printed.size(), broker);
  if (ec != std::errc{}) throw std::runtime_error{"broker.py leader printed '" + printed + '\''};
  return broker;
}

KafkaBroker* shared_kafka_broker() {
  static const std::unique_ptr<KafkaBroker> broker =
      KafkaBroker::why_unavailable() ? nullptr : std::make_unique<KafkaBroker>();
  return broker.get();
}

}  // namespace contactd::test
