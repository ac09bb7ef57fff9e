#pragma once

#include "tests/domain/samples.hpp"

namespace contactd::test {

// An endless stream of commands about few contacts, few emails and few words, so that they collide.
class RandomCommands {
 public:
  explicit RandomCommands(Random& random) : random_(random) {}

  domain::OrganizationId organization() {
    static const std::vector<domain::OrganizationId> all = {org("a"), org("ab"), org("b")};
    return random_.pick(all);
  }

  // About one of `known`, most of the time; creates one with a new id otherwise.
  domain::Command next(const std::vector<domain::ContactId>& known) {
    if (known.empty() || random_.one_in(4)) return domain::CreateContact{new_id(), patch()};
    const domain::ContactId id = random_.pick(known);
    if (random_.one_in(6)) return domain::DeleteContact{id, precondition()};
    return domain::UpdateContact{id, patch(), precondition()};
  }

  domain::ContactPatch patch() {
    domain::ContactPatch patch;
    for (const domain::FieldSpec& spec : domain::field_table) {
      if (random_.one_in(4)) patch.push_back(entry(spec));
    }
    std::shuffle(patch.begin(), patch.end(), std::mt19937_64{random_.bits()});
    return patch;
  }

 private:
  domain::FieldPatch entry(const domain::FieldSpec& spec) {
    static const std::vector<std::string> emails = {"ann@x.io", "bob@x.io", "cy@x.io", "dee@x.io"};
    static const std::vector<std::string> words = {"vip", "lead", "", "a\"b\\c", "漢\n😀"};
    switch (spec.kind) {
      case domain::FieldKind::email:
        return set(spec.field, random_.pick(emails));
      case domain::FieldKind::status:
        return set(spec.field, random_.one_in(2) ? domain::status_active : domain::status_inactive);
      case domain::FieldKind::tags: {
        std::vector<std::string> items;
        for (std::size_t i = random_.below(4); i > 0; --i) items.push_back(random_.pick(words));
        return tags(items);
      }
      case domain::FieldKind::nullable_text:
        if (random_.one_in(3)) return clear(spec.field);
        return set(spec.field, random_.pick(words));
      case domain::FieldKind::text:
        return set(spec.field, random_.one_in(2) ? random_.pick(words) : random_.text(6));
    }
    throw std::logic_error("a kind of field that isn't one");
  }

  domain::Precondition precondition() {
    if (!random_.one_in(4)) return domain::AnyVersion{};
    return domain::OneOf{{1 + random_.below(3), 1 + random_.below(3)}};
  }

  domain::ContactId new_id() {
    return domain::ContactId::from_random(
        {random_.bits(), random_.bits(), random_.bits(), random_.bits()});
  }

  Random& random_;
};

}  // namespace contactd::test
