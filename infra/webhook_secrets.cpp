#include "infra/webhook_secrets.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include <cstdlib>
#include <memory>

#include "projections/binary.hpp"

namespace contactd::infra {
namespace {

constexpr std::size_t key_bytes = 32;
constexpr std::string_view secret_prefix = "whsec_";

template <auto destroy>
struct Destroy {
  void operator()(auto* handle) const noexcept { destroy(handle); }
};

OSSL_PARAM octets(const char* name, std::string_view bytes) {
  // OpenSSL doesn't write to what it is given as a parameter.
  return OSSL_PARAM_construct_octet_string(name, const_cast<char*>(bytes.data()), bytes.size());
}

}  // namespace

std::string base64(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');  // a NUL at the end
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(length));
  return out;
}

std::string hmac_sha256(std::string_view key, std::string_view message) {
  std::string out(key_bytes, '\0');
  unsigned length = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(message.data()), message.size(),
           reinterpret_cast<unsigned char*>(out.data()), &length) == nullptr) {
    std::abort();  // out of memory
  }
  return out;
}

WebhookSecrets::WebhookSecrets(std::string master)
    : master_(std::move(master)),
      mark_(projections::BinaryReader{derive("contactd webhook master")}
                .number<domain::MasterMark>()) {}

std::string WebhookSecrets::derive(std::string_view info) const {
  const std::unique_ptr<EVP_KDF, Destroy<EVP_KDF_free>> kdf{
      EVP_KDF_fetch(nullptr, "HKDF", nullptr)};
  const std::unique_ptr<EVP_KDF_CTX, Destroy<EVP_KDF_CTX_free>> context{EVP_KDF_CTX_new(kdf.get())};
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
                               octets(OSSL_KDF_PARAM_KEY, master_),
                               octets(OSSL_KDF_PARAM_INFO, info), OSSL_PARAM_construct_end()};
  std::string out(key_bytes, '\0');
  if (context == nullptr ||
      EVP_KDF_derive(context.get(), reinterpret_cast<unsigned char*>(out.data()), out.size(),
                     params) != 1) {
    std::abort();  // OpenSSL without HKDF, or out of memory
  }
  return out;
}

std::string WebhookSecrets::key(const domain::WebhookId& webhook, std::uint32_t generation) const {
  std::string info = "contactd webhook secret";
  info += '\0';
  info += webhook;
  info += '\0';
  projections::append_number(info, generation);
  return derive(info);
}

std::string WebhookSecrets::secret(const domain::WebhookId& webhook,
                                   std::uint32_t generation) const {
  return std::string{secret_prefix} + base64(key(webhook, generation));
}

std::string WebhookSecrets::signatures(const domain::Webhook& webhook, std::string_view message_id,
                                       std::int64_t timestamp, std::string_view body,
                                       domain::Instant now) const {
  std::string message{message_id};
  message += '.';
  message += std::to_string(timestamp);
  message += '.';
  message += body;
  std::string out;
  const auto add = [&](std::uint32_t generation, domain::MasterMark master) {
    if (master != mark_) return;
    if (!out.empty()) out += ' ';
    out += "v1," + base64(hmac_sha256(key(webhook.id, generation), message));
  };
  add(webhook.generation, webhook.master);
  const bool kept = webhook.rotated_at && webhook.generation > 1 &&
                    now.unix_ms - webhook.rotated_at->unix_ms < rotated_secret_kept_ms;
  if (kept) add(webhook.generation - 1, webhook.master_before);
  return out;
}

}  // namespace contactd::infra
