#include "tests/support/canaries.hpp"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <mutex>
#include <set>

namespace contactd::test {
namespace {

namespace json = boost::json;

// Shorter ones stand in a log by chance.
constexpr std::size_t canary_length_min = 12;
constexpr std::size_t shown_max = 60;

struct Canaries {
  std::mutex mutex;
  std::set<std::string, std::less<>> all;  // guarded by mutex
};

// Never destroyed: servers that the whole program shares are looked at when it ends.
Canaries& canaries() {
  static Canaries& all = *new Canaries;
  return all;
}

}  // namespace

void add_canary(std::string_view text) {
  if (text.size() < canary_length_min) return;
  const std::lock_guard lock{canaries().mutex};
  canaries().all.emplace(text);
}

void add_canaries_of(const json::value& value) {
  if (const auto* text = value.if_string()) add_canary({text->data(), text->size()});
  if (const auto* array = value.if_array()) {
    for (const json::value& item : *array) add_canaries_of(item);
  }
  if (const auto* object = value.if_object()) {
    for (const auto& member : *object) add_canaries_of(member.value());
  }
}

void expect_no_canary(std::string_view text, std::string_view what) {
  const std::lock_guard lock{canaries().mutex};
  for (const std::string& canary : canaries().all) {
    const std::size_t at = text.find(canary);
    if (at == std::string_view::npos) continue;
    ADD_FAILURE() << what << " has what a client sent: " << canary.substr(0, shown_max) << " in "
                  << text.substr(at < shown_max ? 0 : at - shown_max, 2 * shown_max);
  }
}

std::size_t canary_count() {
  const std::lock_guard lock{canaries().mutex};
  return canaries().all.size();
}

}  // namespace contactd::test
