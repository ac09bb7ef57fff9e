#pragma once

#include <boost/asio/ip/address.hpp>

namespace contactd::api {

// What limits are counted by: an IPv4 address, also one that came as IPv6; or the first 64 bits of
// an IPv6 address, of which one client has all the rest (RFC 6177).
boost::asio::ip::address client_network(const boost::asio::ip::address& address);

}  // namespace contactd::api
