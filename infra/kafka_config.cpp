#include "infra/kafka_config.hpp"

#include <algorithm>
#include <array>

#include "infra/kafka_handles.hpp"

namespace contactd::infra {
namespace {

// That no acknowledged change is lost and none applied twice rests on these.
constexpr std::array<const char*, 25> own_properties = {"acks",
                                                        "allow.auto.create.topics",
                                                        "auto.commit.enable",
                                                        "auto.offset.reset",
                                                        "bootstrap.servers",
                                                        "check.crcs",
                                                        "delivery.timeout.ms",
                                                        "enable.auto.commit",
                                                        "enable.auto.offset.store",
                                                        "enable.gapless.guarantee",
                                                        "enable.idempotence",
                                                        "enable.partition.eof",
                                                        "group.id",
                                                        "isolation.level",
                                                        "linger.ms",
                                                        "max.in.flight",
                                                        "message.timeout.ms",
                                                        "metadata.broker.list",
                                                        "partition.assignment.strategy",
                                                        "queue.buffering.max.ms",
                                                        "request.required.acks",
                                                        "socket.nagle.disable",
                                                        "transaction.timeout.ms",
                                                        "transactional.id",
                                                        "max.in.flight.requests.per.connection"};

}  // namespace

std::optional<KafkaConfig::Property> kafka_property(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) return std::nullopt;
  return KafkaConfig::Property{text.substr(0, equals), text.substr(equals + 1)};
}

std::optional<std::string> problem_with(const KafkaConfig::Property& property) {
  const auto& [name, value] = property;
  if (name == "bootstrap.servers" || name == "metadata.broker.list") {
    return "give the brokers with --kafka-bootstrap, not as the property " + name;
  }
  if (std::find(own_properties.begin(), own_properties.end(), name) != own_properties.end()) {
    return "the property " + name + " can't be given: contactd's promises rest on its own value";
  }
  const kafka::ConfPtr conf{rd_kafka_conf_new()};
  std::array<char, 512> reason{};
  switch (
      rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), reason.data(), reason.size())) {
    case RD_KAFKA_CONF_OK:
      return std::nullopt;
    case RD_KAFKA_CONF_UNKNOWN:
      return "librdkafka has no property " + name;
    case RD_KAFKA_CONF_INVALID:
      return "the property " + name +
             " can't have the value given (it isn't shown here: it may "
             "be a secret)";
  }
  std::abort();
}

}  // namespace contactd::infra
