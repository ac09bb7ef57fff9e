#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <span>
#include <string_view>

// Stored types and their versions. A type's stored form never changes: a new one is a new version
// (but for a new field of contacts: ARCHITECTURE, "Versions of events"), and what is stored in an
// older one is brought up, a version at a time, before it is read. So only the newest version of
// each type has a reader, and it is the only one that knows the fields.
namespace contactd::domain {

// Makes of the data of one version that of the next. Total on what that version could have stored;
// of anything else it makes what the reader then refuses. What the version didn't have becomes
// null, never a guess.
using Upcast = void (*)(boost::json::object& data);

struct StoredType {
  std::string_view name;     // "contactd.writer.claimed.v1"
  Upcast to_next = nullptr;  // none: this is the newest version
};

// "contactd.writer.claimed." of "contactd.writer.claimed.v1", and 1; 0 where there is no version.
constexpr std::string_view family_of(std::string_view type) {
  const std::size_t dot = type.rfind(".v");
  return dot == std::string_view::npos ? type : type.substr(0, dot + 1);
}
constexpr std::uint32_t version_of(std::string_view type) {
  const std::string_view digits = type.substr(family_of(type).size());
  if (digits.size() < 2 || digits[1] == '0') return 0;
  std::uint32_t version = 0;
  for (const char digit : digits.substr(1)) {
    if (digit < '0' || digit > '9') return 0;
    version = version * 10 + static_cast<std::uint32_t>(digit - '0');
  }
  return version;
}

// The first type at which the table breaks off; empty if it doesn't. The versions of a type must
// stand one after the other, from v1 on, each but the last with the way to the next.
constexpr std::string_view gap_in(std::span<const StoredType> types) {
  for (std::size_t i = 0; i < types.size(); ++i) {
    const std::string_view name = types[i].name;
    const std::string_view family = family_of(name);
    const bool first = i == 0 || family_of(types[i - 1].name) != family;
    const bool last = i + 1 == types.size() || family_of(types[i + 1].name) != family;
    const std::uint32_t expected = first ? 1 : version_of(types[i - 1].name) + 1;
    if (version_of(name) != expected) return name;
    if (last != (types[i].to_next == nullptr)) return name;
    for (std::size_t j = 0; first && j < i; ++j) {
      if (family_of(types[j].name) == family) return name;
    }
  }
  return {};
}

}  // namespace contactd::domain
