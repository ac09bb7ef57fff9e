#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace contactd::infra {

inline constexpr std::size_t webhook_url_bytes_max = 2000;

// Where a webhook is sent to, taken apart.
struct WebhookUrl {
  bool tls = true;
  std::string host;  // a name or an address, without brackets
  std::string port;
  std::string authority;  // as the Host field has it
  std::string target;     // path and query
};

// Which URLs an endpoint may have; both are for tests and for networks of one's own.
struct WebhookUrlRules {
  bool allow_http = false;
  bool allow_private = false;
};

// The parts of the URL, or a sentence that says what is wrong with it. An address that stands in
// the URL must be public; one that a name leads to is looked at before each delivery.
std::variant<WebhookUrl, std::string> read_webhook_url(std::string_view text,
                                                       const WebhookUrlRules& rules);

}  // namespace contactd::infra
