// The broker that other tests build on: what it promises about ends and returns.

#include "tests/support/kafka_broker.hpp"

#include <gtest/gtest.h>

#include "tests/support/raw_connection.hpp"

namespace contactd::test {
namespace {

std::uint16_t port_of(const KafkaBroker& broker) {
  const std::string& address = broker.bootstrap();
  return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
}

TEST(KafkaBroker, ComesBackOnItsPortAfterAKill) {
  CONTACTD_NEEDS_KAFKA();
  KafkaBroker broker;
  const RawConnection connects{port_of(broker)};

  broker.kill();
  EXPECT_THROW(RawConnection{port_of(broker)}, std::system_error);

  broker.restart();
  const RawConnection connects_again{port_of(broker)};
}

TEST(KafkaBroker, OfThreeTwoGoOnWithoutTheThird) {
  CONTACTD_NEEDS_KAFKA();
  KafkaBroker brokers{3};
  brokers.kill(2);
  brokers.wait_until_ready();
  brokers.restart(2);
}

}  // namespace
}  // namespace contactd::test
