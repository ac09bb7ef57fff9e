#include "api/auth.hpp"

#include "domain/sha256.hpp"
#include "infra/random.hpp"

namespace contactd::api {
namespace {

constexpr std::string_view secret_prefix = "ck_";
constexpr std::size_t id_length = 16;
constexpr std::size_t secret_length = 43;
constexpr std::size_t key_length = secret_prefix.size() + id_length + 1 + secret_length;

}  // namespace

NewApiKey make_api_key() {
  NewApiKey key;
  key.id = infra::new_contact_id().str().substr(0, id_length);
  key.text = std::string{secret_prefix} + key.id + '_' + infra::random_text(secret_length);
  key.hash = domain::sha256(key.text);
  return key;
}

Authenticator::Authenticator(const infra::ReadStore& store, const std::string& admin_key,
                             infra::Clock clock)
    : store_(store), admin_hash_(domain::sha256(admin_key)), clock_(std::move(clock)) {}

std::optional<domain::ApiKey> Authenticator::api_key(std::string_view presented) {
  if (presented.size() != key_length || !presented.starts_with(secret_prefix)) return std::nullopt;
  auto key = store_.api_key(std::string{presented.substr(secret_prefix.size(), id_length)});
  const domain::Instant now = clock_();
  if (!key || !key->holds_at(now) ||
      !infra::equal_in_constant_time(domain::sha256(presented), key->secret_hash)) {
    return std::nullopt;
  }
  usage_.note(key->id, now);
  return key;
}

bool Authenticator::holds(const domain::KeyId& id) const {
  const auto key = store_.api_key(id);
  return key && key->holds_at(clock_());
}

bool Authenticator::is_admin(std::string_view presented) const {
  return infra::equal_in_constant_time(domain::sha256(presented), admin_hash_);
}

}  // namespace contactd::api
