#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "domain/commands.hpp"
#include "domain/email_address.hpp"
#include "domain/events.hpp"

// Short words for the values that tests of every layer are made of.
namespace contactd::test {

// "ann" is the contact `ann00000000000000000`: a readable id of the right length.
inline domain::ContactId contact_id(std::string name) {
  name.resize(domain::ContactId::length, '0');
  const auto id = domain::ContactId::parse(name);
  if (!id) throw std::logic_error("not a contact id: " + name);
  return *id;
}
inline const domain::ContactId ann = contact_id("ann");
inline const domain::ContactId bob = contact_id("bob");

inline domain::OrganizationId org(std::string_view name) {
  const auto id = domain::OrganizationId::parse(name);
  if (!id) throw std::logic_error("not an organization id: " + std::string{name});
  return *id;
}

inline domain::Digest digest(std::uint8_t byte) {
  domain::Digest all;
  all.fill(byte);
  return all;
}

inline domain::FieldPatch set(domain::Field field, std::string_view text) {
  return {field, domain::FieldValue::text(text)};
}
inline domain::FieldPatch clear(domain::Field field) { return {field, domain::Clear{}}; }
inline domain::FieldPatch tags(const std::vector<std::string>& items) {
  return {domain::Field::tags, domain::FieldValue::list(items)};
}

inline domain::FieldChange change(domain::Field field, domain::FieldValue before,
                                  domain::FieldValue after) {
  return {field, std::move(before), std::move(after)};
}
inline domain::FieldChange change(domain::Field field, std::string_view before,
                                  std::string_view after) {
  return {field, domain::FieldValue::text(before), domain::FieldValue::text(after)};
}
// From the unset value.
inline domain::FieldChange first(domain::Field field, std::string_view after) {
  return {field, domain::unset_value(field), domain::FieldValue::text(after)};
}
inline domain::FieldChange first_tags(const std::vector<std::string>& after) {
  return {domain::Field::tags, domain::unset_value(domain::Field::tags),
          domain::FieldValue::list(after)};
}

// What ContactCreated says of a contact with that email, or with none.
inline domain::ContactCreated created(const domain::ContactId& id, std::string_view email = {}) {
  domain::ContactCreated event{id, {}};
  if (!email.empty()) event.changes.push_back(first(domain::Field::email, email));
  event.changes.push_back(first(domain::Field::status, domain::status_active));
  return event;
}

// 2025-07-15T10:30:00.000Z, the time at which tests begin.
inline constexpr domain::Instant noon{1'752'575'400'000};
inline constexpr std::int64_t hour_ms = 60LL * 60 * 1000;
inline constexpr std::int64_t day_ms = 24 * hour_ms;
inline domain::Instant after(std::int64_t ms) { return {noon.unix_ms + ms}; }

// The seed of a randomized test: CONTACTD_TEST_SEED if it is set, else a new one each time. Put it
// into a SCOPED_TRACE, so that a failure names it.
inline std::uint64_t test_seed() {
  if (const char* given = std::getenv("CONTACTD_TEST_SEED")) {
    return std::strtoull(given, nullptr, 10);
  }
  std::random_device device;
  return (std::uint64_t{device()} << 32U) | device();
}
inline std::string seed_note(std::uint64_t seed) {
  return "to repeat: CONTACTD_TEST_SEED=" + std::to_string(seed);
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  std::uint64_t bits() { return engine_(); }
  // From 0 up to, without, `count`.
  std::size_t below(std::size_t count) { return static_cast<std::size_t>(engine_() % count); }
  bool one_in(std::size_t count) { return below(count) == 0; }
  template <class Container>
  const auto& pick(const Container& from) {
    return from[below(from.size())];
  }
  // Valid UTF-8, seasoned with what JSON has to escape; without NUL.
  std::string text(std::size_t pieces_max) {
    static const std::vector<std::string> pieces = {
        "a", "Z", " ",  "\"",     "\\", "/", "\n", "\t", "\x01", "\x1f", "\x7f",
        "é", "ß", "漢", "\u2028", "😀", "{", "]",  ",",  ":",    "null", "</script>"};
    std::string out;
    for (std::size_t i = below(pieces_max + 1); i > 0; --i) out += pick(pieces);
    return out;
  }

 private:
  std::mt19937_64 engine_;
};

// What a writer asks a log for when it takes a partition.
inline domain::RecordedEvent claim_proposal(std::string writer = "w",
                                            std::uint32_t partitions = 0) {
  domain::RecordedEvent event;
  event.id = domain::EventId::from(noon.unix_ms, {1, 2});
  event.time = noon;
  event.actor = "contactd";
  event.event = domain::WriterClaimed{std::move(writer), partitions};
  return event;
}

}  // namespace contactd::test
