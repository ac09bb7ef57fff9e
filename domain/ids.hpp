#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace contactd::domain {

// A contact's identifier: 20 characters of [A-Za-z0-9].
class ContactId {
 public:
  static constexpr std::size_t length = 20;

  // Returns nothing unless `text` is exactly a contact id.
  static std::optional<ContactId> parse(std::string_view text);
  // REQUIRES: `random` holds uniformly distributed bits. Maps them to an id (about 119 bits of it).
  static ContactId from_random(const std::array<std::uint64_t, 4>& random);

  std::string_view view() const { return {chars_.data(), chars_.size()}; }
  std::string str() const { return std::string{view()}; }
  auto operator<=>(const ContactId&) const = default;

 private:
  std::array<char, length> chars_{};
};

// A tenant: 1 to 64 characters of [A-Za-z0-9_-]. The unit of order and of email uniqueness.
class OrganizationId {
 public:
  static constexpr std::size_t length_max = 64;

  static std::optional<OrganizationId> parse(std::string_view text);

  const std::string& str() const { return text_; }
  auto operator<=>(const OrganizationId&) const = default;

 private:
  std::string text_;
};

// The partition of `count` in which the organization lives whole: FNV-1a (Fowler, Noll, Vo; 64
// bits) of its id, modulo `count`. Stored for ever by what the partitions hold: the same in every
// release. REQUIRES: `count` isn't 0.
std::uint32_t partition_of(const OrganizationId& organization, std::uint32_t count);

// An event's identifier: a UUID of version 7 (RFC 9562, section 5.7), in network byte order.
struct EventId {
  std::array<std::uint8_t, 16> bytes{};

  // `unix_ms` fills the 48 bits of time; `random` the rest, less the version and the variant.
  static EventId from(std::int64_t unix_ms, const std::array<std::uint64_t, 2>& random);
  static std::optional<EventId> parse(std::string_view text);
  std::string str() const;
  auto operator<=>(const EventId&) const = default;
};

// A SHA-256 digest (sha256.hpp).
using Digest = std::array<std::uint8_t, 32>;

std::string to_hex(const Digest& digest);
std::optional<Digest> digest_from_hex(std::string_view text);

// The public part of an API key: names the key in records and listings; not a secret.
using KeyId = std::string;

// Counts the events of one contact; 1 is its creation.
using Version = std::uint64_t;

}  // namespace contactd::domain
