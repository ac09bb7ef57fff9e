#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "api/auth.hpp"
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

  // An organization lives whole in one partition. FNV-1a of its id (Fowler, Noll, Vo), so that the
  // choice is the same in every release and every process.
  infra::Writer& writer_of(const domain::OrganizationId& organization) const {
    std::uint64_t hash = 14695981039346656037U;
    for (const char c : organization.str()) {
      hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
    }
    return *writers_[hash % writers_.size()];
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
  infra::Clock clock;
};

}  // namespace contactd::api
