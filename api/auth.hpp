#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/key_usage.hpp"
#include "domain/organization/api_key.hpp"
#include "infra/clock.hpp"
#include "infra/read_store.hpp"

namespace contactd::api {

// An API key as a client holds it: `ck_<id>_<secret>`. The id (16 characters of [A-Za-z0-9]) finds
// the record; the secret has 258 random bits; of the whole only the SHA-256 is stored.
struct NewApiKey {
  domain::KeyId id;
  std::string text;
  domain::Digest hash{};
};
NewApiKey make_api_key();

// Says who a request is from. Threads: any.
class Authenticator {
 public:
  Authenticator(const infra::ReadStore& store, const std::string& admin_key, infra::Clock clock);

  // The key's record, if it is one that holds; notes its use. Asks the projection each time, so
  // that a revocation holds from the moment it is answered. Takes the same time for every wrong
  // secret of a key.
  std::optional<domain::ApiKey> api_key(std::string_view presented);
  // Whether the key, which was presented and held then, holds still: for answers that go on for
  // long.
  bool holds(const domain::KeyId& id) const;
  bool is_admin(std::string_view presented) const;

  const KeyUsage& usage() const { return usage_; }

 private:
  const infra::ReadStore& store_;
  const domain::Digest admin_hash_;
  const infra::Clock clock_;
  KeyUsage usage_;
};

}  // namespace contactd::api
