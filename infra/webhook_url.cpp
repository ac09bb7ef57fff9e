#include "infra/webhook_url.hpp"

#include <algorithm>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <cctype>

#include "infra/outbound_address.hpp"

namespace contactd::infra {
namespace {

namespace urls = boost::urls;

constexpr auto not_public =
    "The address isn't one of the public internet; give an endpoint that is reachable from there";

// REQUIRES: `host` is as host_name() has it.
bool is_local_name(std::string_view host) {
  return host == "localhost" || host.ends_with(".localhost");
}

// The host in lower case, without the dot that a whole name may end with.
std::string host_name(const urls::url_view& url) {
  std::string name{url.host()};
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (name.ends_with('.')) name.pop_back();
  return name;
}

// Whether it is a number to what looks names up, such as 127.1, 2130706433 or 0x7f000001: an
// address in another notation (URL Standard, section 3.5, "ends in a number").
// REQUIRES: `host` is as host_name() has it.
bool ends_in_number(std::string_view host) {
  const std::string_view last = host.substr(host.rfind('.') + 1);
  const auto all = [](std::string_view text, auto is_digit) {
    return std::all_of(text.begin(), text.end(),
                       [is_digit](unsigned char c) { return is_digit(c) != 0; });
  };
  if (last.starts_with("0x")) return all(last.substr(2), [](int c) { return std::isxdigit(c); });
  return !last.empty() && all(last, [](int c) { return std::isdigit(c); });
}

// Boost.URL 1.81 ends the host of 8.8.8.8.example.com after the address that it begins with, and
// has the rest as the path.
bool is_cut(const urls::url_view& url) {
  return url.host_type() == urls::host_type::ipv4 && !url.encoded_path().empty() &&
         !url.encoded_path().starts_with('/');
}

// An escaped byte could be anything in the name that it stands for.
bool is_plain(std::string_view host) {
  return std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_' || c == ':' || c == '[' ||
           c == ']';
  });
}

// The digits of one; the parser takes any number of them.
bool is_port(const std::string& digits) {
  constexpr std::size_t digits_max = 5;
  if (digits.empty() || digits.size() > digits_max) return false;
  const unsigned long number = std::stoul(digits);
  return number > 0 && number <= 65'535;
}

bool leads_inside(const urls::url_view& url) {
  switch (url.host_type()) {
    case urls::host_type::ipv4:
      return !is_public_v4(url.host_ipv4_address().to_bytes());
    case urls::host_type::ipv6:
      return !is_public_v6(url.host_ipv6_address().to_bytes());
    default:
      return is_local_name(host_name(url));
  }
}

std::string target_of(const urls::url_view& url) {
  std::string target{url.encoded_path()};
  if (target.empty()) target = "/";
  if (url.has_query()) target += "?" + std::string{url.encoded_query()};
  return target;
}

}  // namespace

std::variant<WebhookUrl, std::string> read_webhook_url(std::string_view text,
                                                       const WebhookUrlRules& rules) {
  if (text.size() > webhook_url_bytes_max) {
    return "Expected at most " + std::to_string(webhook_url_bytes_max) + " characters";
  }
  std::string readable{text};
  auto parsed = urls::parse_uri(readable);
  const bool cut = parsed && is_cut(*parsed);
  if (cut) {
    // With a letter before it, it is a name like any other.
    readable.insert(static_cast<std::size_t>(parsed->encoded_host().data() - readable.data()), "x");
    parsed = urls::parse_uri(readable);
  }
  if (!parsed || !parsed->has_authority() || parsed->host().empty()) {
    return "Expected an absolute URL, such as https://example.com/hook";
  }
  const urls::url_view& url = *parsed;
  const bool http = url.scheme_id() == urls::scheme::http;
  if (url.scheme_id() != urls::scheme::https && !(http && rules.allow_http)) {
    return "Expected a URL that begins with https://";
  }
  if (url.has_userinfo()) return "Expected a URL without a user name or a password";
  if (url.has_fragment()) return "Expected a URL without a fragment ('#')";
  if (url.has_port() && !is_port(std::string{url.port()})) return "Expected a port from 1 to 65535";
  if (url.host_type() == urls::host_type::ipvfuture || !is_plain(url.encoded_host())) {
    return "Expected a host name or an address";
  }
  if (url.host_type() == urls::host_type::name && ends_in_number(host_name(url))) {
    return "Expected a host name, or an IPv4 address as four decimal numbers, such as 192.0.2.1";
  }
  if (!rules.allow_private && leads_inside(url)) return not_public;
  WebhookUrl out;
  out.tls = !http;
  out.host = url.host().substr(cut ? 1 : 0);
  if (out.host.starts_with('[')) out.host = out.host.substr(1, out.host.size() - 2);
  out.port = url.has_port() ? std::string{url.port()} : http ? "80" : "443";
  out.authority = std::string{url.encoded_host_and_port()}.substr(cut ? 1 : 0);
  out.target = target_of(url);
  return out;
}

}  // namespace contactd::infra
