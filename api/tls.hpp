#pragma once

#include <filesystem>
#include <memory>
#include <mutex>

#include "domain/instant.hpp"

namespace boost::asio::ssl {
class context;  // NOLINT(readability-identifier-naming): it is a name of Boost's
}  // namespace boost::asio::ssl

namespace contactd::api {

// The server's certificate and key, as files in PEM; the certificate's has its chain after it.
// TLS 1.2 with forward secrecy and AEAD, or 1.3; ALPN http/1.1.
// Threads: any.
class TlsCredentials {
 public:
  // Throws infra::Unavailable if the two can't be used together.
  TlsCredentials(std::filesystem::path certificate, std::filesystem::path key);
  ~TlsCredentials();

  // Reads the files again. Connections that begin from now on use what is in them; where it throws,
  // infra::Unavailable, they use what was used before.
  void reload();

  // Never null.
  std::shared_ptr<boost::asio::ssl::context> current() const;
  // When the certificate in use ends.
  domain::Instant ends_at() const;

 private:
  const std::filesystem::path certificate_;
  const std::filesystem::path key_;
  mutable std::mutex mutex_;
  std::shared_ptr<boost::asio::ssl::context> current_;  // guarded by mutex_
};

}  // namespace contactd::api
