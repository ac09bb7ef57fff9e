#pragma once

#include <optional>
#include <string_view>

#include "api/protocol_refusal.hpp"

namespace contactd::api {

// Refuses what must not reach a handler although a lenient parser takes it: most of all what two
// servers in a row could read as different requests. `header` is a request's header section as it
// came, from the request line to the empty line, both included.
//
// Wanted (RFC 9112): lines that end in CRLF, none folded; a target of visible ASCII in origin
// form, as absolute form is for proxies; HTTP/1.0 or 1.1; exactly one Host that is one (in 1.0: at
// most one); Transfer-Encoding absent or exactly `chunked`, never beside Content-Length, never
// in 1.0; Content-Length once, in digits; X-API-KEY, Content-Type and Idempotency-Key at most once;
// Expect only `100-continue`.
std::optional<ProtocolRefusal> guard_header(std::string_view header);

// Whether a line of it ends in LF alone; also of a header that hasn't come whole yet.
bool has_bare_newline(std::string_view header);

}  // namespace contactd::api
