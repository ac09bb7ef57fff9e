#pragma once

#include <string>

namespace contactd::api {

// Why a request can't be taken, before it could be read whole. The connection is closed.
struct ProtocolRefusal {
  int status = 400;
  std::string sentence;
};

}  // namespace contactd::api
