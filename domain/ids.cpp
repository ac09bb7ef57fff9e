#include "domain/ids.hpp"

#include <algorithm>

#include "domain/ascii.hpp"

namespace contactd::domain {
namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::string_view hex_digits = "0123456789abcdef";

constexpr std::uint8_t no_hex_digit = 0x10;

// The value of each lowercase digit; no_hex_digit of any other byte.
constexpr std::array<std::uint8_t, 256> hex_values = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(no_hex_digit);
  for (std::size_t i = 0; i < hex_digits.size(); ++i) {
    values[static_cast<unsigned char>(hex_digits[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}();

template <std::size_t n>
void append_hex(std::string& out, const std::array<std::uint8_t, n>& bytes, std::size_t from,
                std::size_t to) {
  for (std::size_t i = from; i < to; ++i) {
    out += hex_digits[bytes[i] >> 4U];
    out += hex_digits[bytes[i] & 0x0FU];
  }
}

template <std::size_t n>
std::optional<std::array<std::uint8_t, n>> bytes_from_hex(std::string_view text) {
  if (text.size() != 2 * n) return std::nullopt;
  std::array<std::uint8_t, n> bytes{};
  unsigned seen = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const unsigned high = hex_values[static_cast<unsigned char>(text[2 * i])];
    const unsigned low = hex_values[static_cast<unsigned char>(text[2 * i + 1])];
    seen |= high | low;
    bytes[i] = static_cast<std::uint8_t>(high << 4U | low);
  }
  if ((seen & no_hex_digit) != 0) return std::nullopt;
  return bytes;
}

}  // namespace

std::optional<ContactId> ContactId::parse(std::string_view text) {
  if (text.size() != length || !std::all_of(text.begin(), text.end(), is_alphanumeric)) {
    return std::nullopt;
  }
  ContactId id;
  std::copy(text.begin(), text.end(), id.chars_.begin());
  return id;
}

ContactId ContactId::from_random(const std::array<std::uint64_t, 4>& random) {
  ContactId id;
  for (std::size_t word = 0; word < random.size(); ++word) {
    std::uint64_t bits = random[word];
    for (std::size_t i = 0; i < length / 4; ++i) {
      id.chars_[word * (length / 4) + i] = alphabet[bits % alphabet.size()];
      bits /= alphabet.size();
    }
  }
  return id;
}

std::optional<OrganizationId> OrganizationId::parse(std::string_view text) {
  const auto allowed = [](char c) { return is_alphanumeric(c) || c == '_' || c == '-'; };
  if (text.empty() || text.size() > length_max || !std::all_of(text.begin(), text.end(), allowed)) {
    return std::nullopt;
  }
  OrganizationId id;
  id.text_ = text;
  return id;
}

std::uint32_t partition_of(const OrganizationId& organization, std::uint32_t count) {
  std::uint64_t hash = 14695981039346656037U;
  for (const char c : organization.str()) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  }
  return static_cast<std::uint32_t>(hash % count);
}

EventId EventId::from(std::int64_t unix_ms, const std::array<std::uint64_t, 2>& random) {
  EventId id;
  const auto ms = static_cast<std::uint64_t>(unix_ms);
  for (std::size_t i = 0; i < 6; ++i) {
    id.bytes[i] = static_cast<std::uint8_t>(ms >> (8 * (5 - i)));
  }
  for (std::size_t i = 6; i < 16; ++i) {
    id.bytes[i] = static_cast<std::uint8_t>(random[i % 2] >> (8 * (i / 2 - 3)));
  }
  id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0FU) | 0x70U);
  id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3FU) | 0x80U);
  return id;
}

std::optional<EventId> EventId::parse(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  std::array<char, 32> digits{};
  auto* digit = digits.begin();
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash != (text[i] == '-')) return std::nullopt;
    if (!dash) *digit++ = text[i];
  }
  const auto bytes = bytes_from_hex<16>({digits.data(), digits.size()});
  if (!bytes) return std::nullopt;
  return EventId{*bytes};
}

std::string EventId::str() const {
  std::string out;
  out.reserve(36);
  append_hex(out, bytes, 0, 4);
  for (std::size_t from = 4; from < 10; from += 2) {
    out += '-';
    append_hex(out, bytes, from, from + 2);
  }
  out += '-';
  append_hex(out, bytes, 10, 16);
  return out;
}

std::string to_hex(const Digest& digest) {
  std::string out;
  append_hex(out, digest, 0, digest.size());
  return out;
}

std::optional<Digest> digest_from_hex(std::string_view text) {
  return bytes_from_hex<std::tuple_size_v<Digest>>(text);
}

}  // namespace contactd::domain
