#include "domain/events.hpp"

namespace contactd::domain {

Subject subject_of(const Event& event) {
  return std::visit(
      [](const auto& fact) -> Subject {
        if constexpr (!requires { fact.contact; }) {
          return {};
        } else if constexpr (requires { fact.version; }) {
          return {&fact.contact, fact.version};
        } else {
          return {&fact.contact, 1};  // a contact is created in version 1
        }
      },
      event);
}

}  // namespace contactd::domain
