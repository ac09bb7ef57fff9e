#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "domain/contact/contact.hpp"
#include "domain/events.hpp"

namespace contactd::domain {

// Who has which email in each organization: a confirmed base, and on top of it what the events of
// one batch claim and release. At most one contact has an email in every prefix of the log.
//
// Thread safety: none; it belongs to one writer.
class EmailRegistry {
 public:
  using Base = std::function<std::optional<ContactId>(const OrganizationId&, std::string_view)>;

  explicit EmailRegistry(Base confirmed) : confirmed_(std::move(confirmed)) {}

  // REQUIRES: `email` is an EmailAddress's text.
  std::optional<ContactId> holder(const OrganizationId& organization, std::string_view email) const;

  // What the events applied so far say of the email: its holder, or that it was released; null
  // where they don't mention it.
  const std::optional<ContactId>* pending(const OrganizationId& organization,
                                          std::string_view email) const;

  // Applies one decided event; `before` is the contact that it is about, null where it is absent.
  void apply(const OrganizationId& organization, const Contact* before, const Event& event);

 private:
  void set(const OrganizationId& organization, FieldView email, std::optional<ContactId> holder);

  Base confirmed_;
  // By organization and email, a NUL between them, which neither can contain. No holder: released.
  std::unordered_map<std::string, std::optional<ContactId>> pending_;
};

}  // namespace contactd::domain
