#include "api/tls.hpp"

#include <openssl/ssl.h>

#include <boost/asio/ssl/context.hpp>
#include <cstring>
#include <ctime>
#include <string_view>

#include "api/key_file.hpp"
#include "infra/clock.hpp"
#include "infra/errors.hpp"
#include "infra/log.hpp"

namespace contactd::api {
namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

// Of TLS 1.2; 1.3 has only such.
constexpr auto ciphers_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20";

// RFC 7301: the client's list, each name after its length.
constexpr std::string_view http_1_1 = "\x08http/1.1";

int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* length,
                    const unsigned char* offered, unsigned int offered_length, void*) {
  unsigned char* out = nullptr;
  const auto* known = reinterpret_cast<const unsigned char*>(http_1_1.data());
  const int result = SSL_select_next_proto(
      &out, length, known, static_cast<unsigned int>(http_1_1.size()), offered, offered_length);
  *chosen = out;
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

void require(const error_code& ec, std::string_view what, const std::filesystem::path& file) {
  if (!ec) return;
  throw infra::Unavailable("can't use " + std::string{what} + " in " + file.string() + ": " +
                           ec.message() + "; give PEM files that belong together");
}

domain::Instant end_of(ssl::context& context) {
  const X509* certificate = SSL_CTX_get0_certificate(context.native_handle());
  std::tm end{};
  if (certificate == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1) {
    return {};
  }
  return {static_cast<std::int64_t>(timegm(&end)) * 1000};
}

std::shared_ptr<ssl::context> load(const std::filesystem::path& certificate,
                                   const std::filesystem::path& key) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX* const native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(native, ciphers_1_2);
  SSL_CTX_set_options(
      native, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_alpn_select_cb(native, choose_protocol, nullptr);
  error_code ec;
  context->use_certificate_chain_file(certificate.string(), ec);
  require(ec, "the TLS certificate", certificate);
  // Without it OpenSSL would ask at the terminal, and wait.
  bool encrypted = false;
  context->set_password_callback([&encrypted](std::size_t, ssl::context::password_purpose) {
    encrypted = true;
    return std::string{};
  });
  context->use_private_key_file(key.string(), ssl::context::pem, ec);
  if (ec && encrypted) {
    throw infra::Unavailable("the TLS key in " + key.string() +
                             " is encrypted; give it without a passphrase");
  }
  require(ec, "the TLS key", key);
  if (SSL_CTX_check_private_key(native) != 1) {
    throw infra::Unavailable("the TLS key in " + key.string() +
                             " isn't that of the certificate in " + certificate.string());
  }
  warn_of_readable(key, "the TLS key");
  const domain::Instant end = end_of(*context);
  if (end != domain::Instant{} && end <= infra::system_time()) {
    spdlog::warn("the TLS certificate in {} has ended at {}: clients refuse it",
                 certificate.string(), domain::to_iso8601(end));
  }
  return context;
}

}  // namespace

TlsCredentials::TlsCredentials(std::filesystem::path certificate, std::filesystem::path key)
    : certificate_(std::move(certificate)),
      key_(std::move(key)),
      current_(load(certificate_, key_)) {}

TlsCredentials::~TlsCredentials() = default;

void TlsCredentials::reload() {
  auto loaded = load(certificate_, key_);
  const std::lock_guard lock{mutex_};
  current_ = std::move(loaded);
}

std::shared_ptr<ssl::context> TlsCredentials::current() const {
  const std::lock_guard lock{mutex_};
  return current_;
}

domain::Instant TlsCredentials::ends_at() const { return end_of(*current()); }

}  // namespace contactd::api
