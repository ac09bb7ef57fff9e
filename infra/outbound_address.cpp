#include "infra/outbound_address.hpp"

#include <algorithm>
#include <span>

namespace contactd::infra {
namespace {

template <std::size_t size>
struct Range {
  std::array<std::uint8_t, size> first;
  unsigned bits;  // how many of them all of the range share
};

constexpr Range<4> special_v4[] = {
    {{0, 0, 0, 0}, 8},        // this network
    {{10, 0, 0, 0}, 8},       // private
    {{100, 64, 0, 0}, 10},    // shared: carrier-grade NAT
    {{127, 0, 0, 0}, 8},      // loopback
    {{169, 254, 0, 0}, 16},   // link-local: clouds' metadata
    {{172, 16, 0, 0}, 12},    // private
    {{192, 0, 0, 0}, 24},     // protocol assignments
    {{192, 0, 2, 0}, 24},     // documentation
    {{192, 31, 196, 0}, 24},  // AS112
    {{192, 52, 193, 0}, 24},  // AMT
    {{192, 88, 99, 0}, 24},   // 6to4 relays
    {{192, 168, 0, 0}, 16},   // private
    {{192, 175, 48, 0}, 24},  // AS112
    {{198, 18, 0, 0}, 15},    // benchmarking
    {{198, 51, 100, 0}, 24},  // documentation
    {{203, 0, 113, 0}, 24},   // documentation
    {{224, 0, 0, 0}, 4},      // multicast
    {{240, 0, 0, 0}, 4},      // reserved, broadcast
};

// Global unicast is 2000::/3; what is special within it.
constexpr Range<16> global_v6 = {{0x20}, 3};
constexpr Range<16> special_v6[] = {
    {{0x20, 0x01, 0x00}, 23},              // protocol assignments: Teredo, ORCHID, ...
    {{0x20, 0x01, 0x0d, 0xb8}, 32},        // documentation
    {{0x20, 0x02}, 16},                    // 6to4
    {{0x26, 0x20, 0x00, 0x4f, 0x80}, 48},  // AS112
    {{0x3f, 0xff, 0x00}, 20},              // documentation
};

template <std::size_t size>
bool within(const Range<size>& range, const std::array<std::uint8_t, size>& address) {
  const std::size_t whole = range.bits / 8;
  if (!std::equal(address.begin(), address.begin() + whole, range.first.begin())) return false;
  const unsigned rest = range.bits % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xFFU << (8 - rest));
  return (address[whole] & mask) == (range.first[whole] & mask);
}

template <std::size_t size>
bool within_any(std::span<const Range<size>> ranges,
                const std::array<std::uint8_t, size>& address) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const auto& range) { return within(range, address); });
}

}  // namespace

bool is_public_v4(const std::array<std::uint8_t, 4>& address) {
  return !within_any<4>(special_v4, address);
}

bool is_public_v6(const std::array<std::uint8_t, 16>& address) {
  return within(global_v6, address) && !within_any<16>(special_v6, address);
}

}  // namespace contactd::infra
