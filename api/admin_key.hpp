#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/config.hpp"

namespace contactd::api {

// Why no admin key can be this, as what follows its name in a sentence; nothing if one can. Doesn't
// repeat it.
std::optional<std::string> admin_key_problem(std::string_view key);

// The one that was given, or that of <data-dir>/admin.key, which is made if it isn't there; where
// the server is read-only it isn't made, and the key is one that nobody has. Throws
// infra::Unavailable.
std::string admin_key(const ServeConfig& config);

}  // namespace contactd::api
