#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "api/auth.hpp"
#include "api/feed_followers.hpp"
#include "api/rate_limiter.hpp"
#include "infra/clock.hpp"
#include "infra/feed_hub.hpp"
#include "infra/metrics.hpp"
#include "infra/read_store.hpp"
#include "infra/writer.hpp"

namespace contactd::api {

// The writers of the partitions, and which organization is whose.
class Partitions {
 public:
  explicit Partitions(std::vector<std::unique_ptr<infra::Writer>> writers)
      : writers_(std::move(writers)) {}

  std::uint32_t partition_of(const domain::OrganizationId& organization) const {
    return domain::partition_of(organization, static_cast<std::uint32_t>(writers_.size()));
  }
  infra::Writer& writer_of(const domain::OrganizationId& organization) const {
    return *writers_[partition_of(organization)];
  }
  // Whether every partition's projections may be read (Writer::caught_up).
  bool caught_up() const {
    return std::all_of(writers_.begin(), writers_.end(),
                       [](const auto& writer) { return writer->caught_up(); });
  }
  const std::vector<std::unique_ptr<infra::Writer>>& all() const { return writers_; }

 private:
  const std::vector<std::unique_ptr<infra::Writer>> writers_;
};

// What the handlers work with; owned by App, which outlives every request.
struct Services {
  infra::ReadStore& store;
  const Partitions& partitions;
  infra::Metrics& metrics;
  const Authenticator& authenticator;
  RateLimiter& rate_limiter;
  infra::FeedHub& feed_hub;
  FeedFollowers& feed_followers;
  infra::Clock clock;
};

}  // namespace contactd::api
