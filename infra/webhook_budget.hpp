#pragma once

#include <cstddef>
#include <map>

#include "domain/ids.hpp"

namespace contactd::infra {

// How many deliveries may be under way. Not only in all: else one organization, whose endpoints let
// everything time out, would leave the others nothing.
// Threads: one.
class WebhookBudget {
 public:
  WebhookBudget(std::size_t all_max, std::size_t organization_max)
      : all_max_(all_max), organization_max_(organization_max) {}

  bool has_room(const domain::OrganizationId& organization) const;
  // REQUIRES: has_room().
  void take(const domain::OrganizationId& organization);
  // REQUIRES: as many of the organization's were taken before.
  void give_back(const domain::OrganizationId& organization);
  bool all_given_back() const { return taken_ == 0; }

 private:
  const std::size_t all_max_;
  const std::size_t organization_max_;
  std::size_t taken_ = 0;
  std::map<domain::OrganizationId, std::size_t> taken_by_;  // without those that have none
};

}  // namespace contactd::infra
