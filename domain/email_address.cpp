#include "domain/email_address.hpp"

#include <algorithm>

#include "domain/ascii.hpp"

namespace contactd::domain {
namespace {

constexpr std::size_t label_length_max = 63;

bool is_local_character(char c) {
  constexpr std::string_view others = ".!#$%&'*+/=?^_`{|}~-";
  return is_alphanumeric(c) || others.find(c) != std::string_view::npos;
}

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= label_length_max && is_alphanumeric(label.front()) &&
         is_alphanumeric(label.back()) && std::all_of(label.begin(), label.end(), [](char c) {
           return is_alphanumeric(c) || c == '-';
         });
}

bool is_domain(std::string_view domain) {
  for (;;) {
    const std::size_t dot = domain.find('.');
    if (!is_label(domain.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    domain.remove_prefix(dot + 1);
  }
}

}  // namespace

std::optional<EmailAddress> EmailAddress::parse(std::string_view text) {
  if (text.size() > octets_max) return std::nullopt;
  const std::size_t at = text.find('@');
  if (at == std::string_view::npos || at == 0) return std::nullopt;
  const std::string_view local = text.substr(0, at);
  if (!std::all_of(local.begin(), local.end(), is_local_character) ||
      !is_domain(text.substr(at + 1))) {
    return std::nullopt;
  }
  EmailAddress email;
  email.text_ = text;
  for (char& c : email.text_) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return email;
}

}  // namespace contactd::domain
