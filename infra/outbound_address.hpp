#pragma once

#include <array>
#include <cstdint>

namespace contactd::infra {

// Whether an address is one of the public internet's: none of loopback, private, link-local,
// shared (CGNAT), documentation, benchmarking, multicast, reserved, and, in IPv6, none that embeds
// an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo): what those lead to isn't known.
// IANA's special-purpose registries (RFC 6890 and what updated it).
bool is_public_v4(const std::array<std::uint8_t, 4>& address);
bool is_public_v6(const std::array<std::uint8_t, 16>& address);

}  // namespace contactd::infra
