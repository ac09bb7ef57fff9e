#include "tests/support/certificate.hpp"

#include <stdexcept>

namespace contactd::test {

Certificate make_certificate(const std::filesystem::path& directory, const std::string& name,
                             const std::string& hosts) {
  const Certificate made{directory / (name + ".crt"), directory / (name + ".key")};
  const Finished openssl = run_program(
      {"/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
       "-nodes", "-days", "2", "-subj", "/CN=" + name, "-addext", "subjectAltName=" + hosts, "-out",
       made.certificate.string(), "-keyout", made.key.string()});
  if (openssl.status != exited(0)) throw std::runtime_error{"openssl: " + openssl.err};
  return made;
}

}  // namespace contactd::test
