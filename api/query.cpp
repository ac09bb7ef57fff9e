#include "api/query.hpp"

#include <boost/url/encode.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <boost/url/url_view.hpp>

namespace contactd::api {

namespace urls = boost::urls;

std::optional<Target> parse_target(std::string_view target) {
  const auto url = urls::parse_origin_form({target.data(), target.size()});
  if (!url) return std::nullopt;
  Target parsed;
  for (const auto& segment : url->segments()) {
    parsed.segments.emplace_back(segment.data(), segment.size());
  }
  if (url->has_query() && !url->encoded_query().empty()) {
    urls::encoding_opts options;
    options.space_as_plus = true;
    for (const auto& param : url->params(options)) {
      if (param.key.empty() && !param.has_value) continue;  // `a=1&&b=2` has two
      parsed.params.emplace_back(std::string{param.key.data(), param.key.size()},
                                 std::string{param.value.data(), param.value.size()});
    }
  }
  return parsed;
}

std::string encode_query_value(std::string_view value) {
  return urls::encode({value.data(), value.size()}, urls::unreserved_chars);
}

std::string next_link(const std::string& path,
                      const std::vector<std::pair<std::string, std::string>>& params,
                      const std::string& cursor) {
  std::string link = '<' + path + "?cursor=" + cursor;
  for (const auto& [name, value] : params) {
    if (name != "cursor" && name != "page") link += '&' + name + '=' + encode_query_value(value);
  }
  return link + R"(>; rel="next")";
}

}  // namespace contactd::api
