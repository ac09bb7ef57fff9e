#include "api/client_network.hpp"

#include <algorithm>
#include <cstdint>

namespace contactd::api {

namespace ip = boost::asio::ip;

ip::address client_network(const ip::address& address) {
  if (address.is_v4()) return address;
  const ip::address_v6 v6 = address.to_v6();
  if (v6.is_v4_mapped()) return ip::make_address_v4(ip::v4_mapped, v6);
  auto bytes = v6.to_bytes();
  std::fill(bytes.begin() + bytes.size() / 2, bytes.end(), std::uint8_t{0});
  return ip::address_v6{bytes};
}

}  // namespace contactd::api
