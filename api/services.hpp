#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "api/auth.hpp"
#include "api/maintenance.hpp"
#include "api/rate_limiter.hpp"
#include "infra/clock.hpp"
#include "infra/metrics.hpp"
#include "infra/read_store.hpp"
#include "infra/writer.hpp"

namespace contactd::api {

// The writers of the partitions, and which organization is whose.
class Partitions {
 public:
  explicit Partitions(std::vector<std::unique_ptr<infra::Writer>> writers)
      : writers_(std::move(writers)) {}

  infra::Writer& writer_of(const domain::OrganizationId& organization) const {
    const auto count = static_cast<std::uint32_t>(writers_.size());
    return *writers_[domain::partition_of(organization, count)];
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
  Operations& operations;
  infra::Clock clock;
  bool read_only = false;  // there are no writers: what changes anything is refused
};

}  // namespace contactd::api
