#include "domain/organization/email_registry.hpp"

namespace contactd::domain {
namespace {

std::string key_of(const OrganizationId& organization, std::string_view email) {
  std::string key = organization.str();
  key += '\0';
  key += email;
  return key;
}

}  // namespace

std::optional<ContactId> EmailRegistry::holder(const OrganizationId& organization,
                                               std::string_view email) const {
  const auto* known = pending(organization, email);
  return known != nullptr ? *known : confirmed_(organization, email);
}

const std::optional<ContactId>* EmailRegistry::pending(const OrganizationId& organization,
                                                       std::string_view email) const {
  if (pending_.empty()) return nullptr;
  const auto found = pending_.find(key_of(organization, email));
  return found == pending_.end() ? nullptr : &found->second;
}

void EmailRegistry::apply(const OrganizationId& organization, const Contact* before,
                          const Event& event) {
  const auto claim = [&](const ContactId& contact, const std::vector<FieldChange>& changes) {
    for (const FieldChange& change : changes) {
      if (change.field != Field::email) continue;
      set(organization, change.before, std::nullopt);
      set(organization, change.after, contact);
    }
  };
  if (const auto* created = std::get_if<ContactCreated>(&event)) {
    claim(created->contact, created->changes);
  } else if (const auto* updated = std::get_if<ContactUpdated>(&event)) {
    claim(updated->contact, updated->changes);
  } else if (std::holds_alternative<ContactDeleted>(event)) {
    if (before != nullptr) set(organization, (*before)[Field::email], std::nullopt);
  }
}

void EmailRegistry::set(const OrganizationId& organization, const FieldValue& email,
                        std::optional<ContactId> holder) {
  if (!email.is_null()) pending_[key_of(organization, email.unquoted())] = holder;
}

}  // namespace contactd::domain
