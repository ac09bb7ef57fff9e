#pragma once

#include <filesystem>
#include <string>

#include "tests/support/child_process.hpp"

namespace contactd::test {

// A certificate that signs itself, with its key.
struct Certificate {
  std::filesystem::path certificate;
  std::filesystem::path key;
};

// Makes one in `directory`, in files named after `name`, replacing what is there; for `hosts`, as
// openssl writes a subjectAltName. Throws std::runtime_error with what openssl said.
Certificate make_certificate(const std::filesystem::path& directory, const std::string& name,
                             const std::string& hosts = "IP:127.0.0.1,DNS:localhost");

}  // namespace contactd::test
