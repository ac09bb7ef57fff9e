#include "api/preconditions.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include "api/http_grammar.hpp"
#include "api/limits.hpp"

namespace contactd::api {
namespace {

struct EntityTag {
  bool weak = false;
  std::string_view opaque;  // between the quotes
};

// One entity tag off the front of `text`; nothing if there is none.
std::optional<EntityTag> take_tag(std::string_view& text) {
  EntityTag tag;
  if (text.starts_with("W/")) {
    tag.weak = true;
    text.remove_prefix(2);
  }
  if (!text.starts_with('"')) return std::nullopt;
  const std::size_t end = text.find('"', 1);
  if (end == std::string_view::npos) return std::nullopt;
  tag.opaque = text.substr(1, end - 1);
  text.remove_prefix(end + 1);
  return tag;
}

std::optional<std::vector<EntityTag>> parse_tags(std::string_view text) {
  std::vector<EntityTag> tags;
  for (;;) {
    text = trimmed(text);
    // RFC 9110, section 5.6.1: empty elements of a list are passed over.
    if (text.starts_with(',')) {
      text.remove_prefix(1);
      continue;
    }
    if (text.empty() && !tags.empty()) return tags;
    const auto tag = take_tag(text);
    if (!tag || tags.size() == limits::etags_max) return std::nullopt;
    tags.push_back(*tag);
    text = trimmed(text);
    if (text.empty()) return tags;
    if (text.front() != ',') return std::nullopt;
    text.remove_prefix(1);
  }
}

std::optional<domain::Version> version_in_tag(std::string_view opaque) {
  domain::Version version = 0;
  const auto [end, ec] = std::from_chars(opaque.data(), opaque.data() + opaque.size(), version);
  if (ec != std::errc{} || end != opaque.data() + opaque.size() || version == 0 ||
      opaque.front() == '0') {
    return std::nullopt;
  }
  return version;
}

bool is_star(std::string_view text) { return trimmed(text) == "*"; }

}  // namespace

std::string etag_of(domain::Version version) { return '"' + std::to_string(version) + '"'; }

std::variant<domain::Precondition, std::string> parse_if_match(std::string_view value) {
  if (is_star(value)) return domain::Precondition{domain::AnyVersion{}};
  const auto tags = parse_tags(value);
  if (!tags) {
    return "If-Match must be * or a list of at most " + std::to_string(limits::etags_max) +
           " entity tags such as \"3\", in their quotes";
  }
  domain::OneOf versions;
  for (const EntityTag& tag : *tags) {
    const auto version = tag.weak ? std::nullopt : version_in_tag(tag.opaque);
    if (version) versions.versions.push_back(*version);
  }
  return domain::Precondition{std::move(versions)};
}

bool none_match_hits(std::string_view value, domain::Version version) {
  if (is_star(value)) return true;
  const auto tags = parse_tags(value);
  return tags && std::any_of(tags->begin(), tags->end(), [&](const EntityTag& tag) {
           return version_in_tag(tag.opaque) == version;
         });
}

}  // namespace contactd::api
