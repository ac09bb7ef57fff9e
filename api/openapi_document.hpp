#pragma once

#include <string_view>

namespace contactd::api {

// api/openapi.json, built in.
extern const std::string_view openapi_document;

}  // namespace contactd::api
