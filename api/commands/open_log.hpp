#pragma once

#include <memory>

#include "api/commands/options.hpp"
#include "infra/event_log.hpp"
#include "infra/metrics.hpp"

namespace contactd::api {

// A log that a command reads, beside a running server or without one.
struct OpenedLog {
  std::unique_ptr<infra::Metrics> metrics;  // of nobody's; Kafka's clients want some
  std::unique_ptr<infra::LogReader> log;
  std::string identity;  // which log it is, as in projections.log

  infra::LogReader& operator*() const { return *log; }
  infra::LogReader* operator->() const { return log.get(); }
};

// Sets up logging on standard error for warnings, too. Throws LogUnavailable.
OpenedLog open_log_for_reading(const LogOptions& options);

}  // namespace contactd::api
