#pragma once

#include <string_view>

namespace contactd::api {

// What some editors put before a file's text, to say that it is UTF-8. It is no part of the text.
inline constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

}  // namespace contactd::api
