#include "tests/system/linearizability.hpp"

namespace contactd::test {

std::optional<ContactModel::State> ContactModel::step(const State& before,
                                                      const Operation& operation) {
  const bool unknown = operation.output == Output::unknown;
  if (!before.exists) {
    if (unknown || operation.output == Output::not_found) return before;
    return std::nullopt;
  }
  if (operation.output == Output::not_found) return std::nullopt;
  if (operation.if_match != 0 && operation.if_match != before.version) {
    if (unknown || operation.output == Output::precondition_failed) return before;
    return std::nullopt;
  }
  if (operation.output == Output::precondition_failed) return std::nullopt;
  State after = before;
  if (operation.kind == Kind::remove) {
    after.exists = false;
    return after;
  }
  if (operation.kind == Kind::set_title) {
    ++after.version;
    after.title = operation.title;
  }
  if (unknown) return after;
  if (operation.version != after.version || operation.answered != after.title) return std::nullopt;
  return after;
}

std::optional<EmailModel::State> EmailModel::step(const State& before, const Operation& operation) {
  const bool free = before.holder.empty() || before.holder == operation.contact;
  switch (operation.output) {
    case Output::taken:
      if (!free) return std::nullopt;
      return State{operation.contact};
    case Output::conflict:
      if (free || before.holder != operation.holder) return std::nullopt;
      return before;
    case Output::unknown:
      return free ? State{operation.contact} : before;
  }
  return std::nullopt;
}

}  // namespace contactd::test
