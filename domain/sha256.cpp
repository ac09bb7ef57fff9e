#include "domain/sha256.hpp"

#include <openssl/evp.h>

#include <memory>
#include <stdexcept>

namespace contactd::domain {
namespace {

struct Free {
  void operator()(EVP_MD* algorithm) const { EVP_MD_free(algorithm); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

// To look the algorithm up costs as much as to hash a kilobyte: it is fetched once, and a thread
// begins anew with the context that it has.
const EVP_MD* algorithm() {
  static const std::unique_ptr<EVP_MD, Free> fetched{EVP_MD_fetch(nullptr, "SHA256", nullptr)};
  return fetched.get();
}

}  // namespace

Digest sha256(std::string_view first, std::string_view second) {
  thread_local const std::unique_ptr<EVP_MD_CTX, Free> context{EVP_MD_CTX_new()};
  Digest digest{};
  if (algorithm() == nullptr || context == nullptr ||
      EVP_DigestInit_ex2(context.get(), algorithm(), nullptr) != 1 ||
      EVP_DigestUpdate(context.get(), first.data(), first.size()) != 1 ||
      EVP_DigestUpdate(context.get(), second.data(), second.size()) != 1 ||
      EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) != 1) {
    throw std::runtime_error("OpenSSL has no SHA-256; check its installation");
  }
  return digest;
}

}  // namespace contactd::domain
