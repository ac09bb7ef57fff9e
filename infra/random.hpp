#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "domain/ids.hpp"
#include "domain/instant.hpp"

// Random numbers, from OpenSSL, and what must not tell by its time. Every function may be called
// from any thread.
namespace contactd::infra {

// Fills `words` from OpenSSL's generator. Ends the process if the system gives no randomness.
void fill_random(std::span<std::uint64_t> words);

domain::ContactId new_contact_id();
domain::EventId new_event_id(domain::Instant now);
// 128 random bits as 32 hexadecimal digits.
std::string new_request_id();
// `length` random characters of [A-Za-z0-9_-]: 6 bits each.
std::string random_text(std::size_t length);

// Takes the same time wherever the two differ.
bool equal_in_constant_time(const domain::Digest& a, const domain::Digest& b);

}  // namespace contactd::infra
