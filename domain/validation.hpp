#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace contactd::domain {

// The sentence of a member that the body can't have.
inline constexpr std::string_view unknown_member = "Unrecognized key";

// Everything that is wrong with a request, not the first thing alone.
struct ValidationErrors {
  std::vector<std::string> form;                           // about the body as a whole
  std::vector<std::pair<std::string, std::string>> field;  // a member's name and a sentence

  bool empty() const { return form.empty() && field.empty(); }
  void add(std::string_view name, std::string sentence) {
    field.emplace_back(name, std::move(sentence));
  }
};

}  // namespace contactd::domain
