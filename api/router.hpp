#pragma once

#include <string_view>

#include "api/http_message.hpp"
#include "api/problem.hpp"
#include "api/services.hpp"

namespace contactd::api {

// A request's answer, or what is to be done for it; and its route's name, for the metrics.
struct Routed {
  Handled handled;
  std::string_view route = "none";  // a literal; so where none matched
  Fields told = {};                 // with every answer, whatever comes of `handled`
};

// Finds the endpoint and checks, in this order: target, path (404), method (405, OPTIONS), rate
// (429), readiness (503), key (401), scope (403), length (411), media type (415); then hands over
// to the endpoint. Never throws: what a handler throws is logged and answered. Threads: any.
Routed route(const Services& services, const Request& request);

// Runs a SlowRead. Never throws, as route(). Threads: any.
Response run_guarded(const std::function<Response()>& run, ErrorFormat format,
                     std::string_view request_id);

}  // namespace contactd::api
