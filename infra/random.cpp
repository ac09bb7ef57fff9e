#include "infra/random.hpp"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <array>
#include <cstdlib>

#include "domain/sha256.hpp"
#include "infra/log.hpp"

namespace contactd::infra {
namespace {

// RAND_bytes costs a microsecond a call; a thread's buffer makes that a few nanoseconds an id.
class RandomPool {
 public:
  std::uint64_t next() {
    if (used_ == words_.size()) refill();
    // Forgotten once handed out.
    return std::exchange(words_[used_++], 0);
  }

 private:
  void refill() {
    if (RAND_bytes(reinterpret_cast<unsigned char*>(words_.data()),
                   static_cast<int>(words_.size() * sizeof(std::uint64_t))) != 1) {
      spdlog::critical("OpenSSL has no random numbers; check the system's entropy source");
      std::abort();
    }
    used_ = 0;
  }

  std::array<std::uint64_t, 128> words_{};
  std::size_t used_ = words_.size();
};

}  // namespace

void fill_random(std::span<std::uint64_t> words) {
  thread_local RandomPool pool;
  for (std::uint64_t& word : words) word = pool.next();
}

domain::ContactId new_contact_id() {
  std::array<std::uint64_t, 4> random{};
  fill_random(random);
  return domain::ContactId::from_random(random);
}

domain::EventId new_event_id(domain::Instant now) {
  std::array<std::uint64_t, 2> random{};
  fill_random(random);
  return domain::EventId::from(now.unix_ms, random);
}

std::string new_request_id() {
  constexpr std::string_view digits = "0123456789abcdef";
  std::array<std::uint64_t, 2> random{};
  fill_random(random);
  std::string id;
  id.reserve(32);
  for (std::uint64_t word : random) {
    for (int i = 0; i < 16; ++i, word >>= 4U) id += digits[word & 0x0FU];
  }
  return id;
}

std::string random_text(std::size_t length) {
  constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  while (text.size() < length) {
    std::array<std::uint64_t, 1> random{};
    fill_random(random);
    for (int i = 0; i < 10 && text.size() < length; ++i, random[0] >>= 6U) {
      text += alphabet[random[0] & 0x3FU];
    }
  }
  return text;
}

bool equal_in_constant_time(const domain::Digest& a, const domain::Digest& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace contactd::infra
