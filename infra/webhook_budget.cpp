#include "infra/webhook_budget.hpp"

namespace contactd::infra {

bool WebhookBudget::has_room(const domain::OrganizationId& organization) const {
  if (taken_ >= all_max_) return false;
  const auto known = taken_by_.find(organization);
  return known == taken_by_.end() || known->second < organization_max_;
}

void WebhookBudget::take(const domain::OrganizationId& organization) {
  ++taken_;
  ++taken_by_[organization];
}

void WebhookBudget::give_back(const domain::OrganizationId& organization) {
  --taken_;
  const auto known = taken_by_.find(organization);
  if (--known->second == 0) taken_by_.erase(known);
}

}  // namespace contactd::infra
