#include <cstdlib>

#include "domain/events.hpp"

namespace contactd::domain {

std::string_view name_of(Scope scope) {
  switch (scope) {
    case Scope::none:
      return "none";
    case Scope::read:
      return "read";
    case Scope::write:
      return "write";
  }
  std::abort();
}

std::optional<Scope> scope_named(std::string_view name) {
  for (const Scope scope : {Scope::none, Scope::read, Scope::write}) {
    if (name_of(scope) == name) return scope;
  }
  return std::nullopt;
}

}  // namespace contactd::domain
