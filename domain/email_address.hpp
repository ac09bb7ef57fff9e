#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace contactd::domain {

// An email address as contactd stores it: valid and lowercase.
class EmailAddress {
 public:
  static constexpr std::size_t octets_max = 254;

  // Accepts what the WHATWG HTML standard's `input type=email` accepts ("valid email address",
  // https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address), at most 254 octets,
  // and lowercases its ASCII letters. Nothing is trimmed. Returns nothing on anything else.
  static std::optional<EmailAddress> parse(std::string_view text);

  const std::string& str() const { return text_; }
  auto operator<=>(const EmailAddress&) const = default;

 private:
  std::string text_;
};

}  // namespace contactd::domain
