#pragma once

#include "api/config.hpp"

namespace contactd::api {

// Runs the server until SIGTERM or SIGINT, then drains it. Returns the process's exit status: 0
// after a drain, 1 if it couldn't start. To be called once, from main, before other threads run.
int serve(const ServeConfig& config);

}  // namespace contactd::api
