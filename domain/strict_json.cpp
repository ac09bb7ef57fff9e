#include "domain/strict_json.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/value_stack.hpp>
#include <cmath>
#include <cstdlib>
#include <set>
#include <vector>

#include "domain/json_text.hpp"

namespace contactd::domain {
namespace {

namespace json = boost::json;

enum class Refusal { none, nul_character, not_finite, duplicate };

constexpr std::size_t unlimited = static_cast<std::size_t>(-1);

// What both handlers share: the parser's limits, and the events that are of no interest.
struct HandlerBase {
  static constexpr std::size_t max_object_size = unlimited;
  static constexpr std::size_t max_array_size = unlimited;
  static constexpr std::size_t max_key_size = unlimited;
  static constexpr std::size_t max_string_size = unlimited;

  static bool on_document_begin(json::error_code&) { return true; }
  static bool on_document_end(json::error_code&) { return true; }
  static bool on_comment_part(json::string_view, json::error_code&) { return true; }
  static bool on_comment(json::string_view, json::error_code&) { return true; }
  static bool on_number_part(json::string_view, json::error_code&) { return true; }
};

// Builds the value, and counts the members that the text has: json::object keeps one of two with
// the same name, so that a smaller count in the value means a duplicate.
struct Builder : HandlerBase {
  explicit Builder(json::storage_ptr storage) { stack.reset(std::move(storage)); }

  bool text(json::string_view part, json::error_code& ec) {
    if (part.find('\0') == json::string_view::npos) return true;
    return refuse(Refusal::nul_character, ec);
  }
  bool refuse(Refusal why, json::error_code& ec) {
    refusal = why;
    ec = json::error::syntax;
    return false;
  }

  bool on_object_begin(json::error_code&) { return true; }
  bool on_object_end(std::size_t n, json::error_code&) {
    stack.push_object(n);
    return true;
  }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(std::size_t n, json::error_code&) {
    stack.push_array(n);
    return true;
  }
  bool on_key_part(json::string_view s, std::size_t, json::error_code& ec) {
    stack.push_chars(s);
    return text(s, ec);
  }
  bool on_key(json::string_view s, std::size_t, json::error_code& ec) {
    stack.push_key(s);
    ++members;
    return text(s, ec);
  }
  bool on_string_part(json::string_view s, std::size_t, json::error_code& ec) {
    stack.push_chars(s);
    return text(s, ec);
  }
  bool on_string(json::string_view s, std::size_t, json::error_code& ec) {
    stack.push_string(s);
    return text(s, ec);
  }
  bool on_int64(std::int64_t number, json::string_view, json::error_code&) {
    stack.push_int64(number);
    return true;
  }
  bool on_uint64(std::uint64_t number, json::string_view, json::error_code&) {
    stack.push_uint64(number);
    return true;
  }
  bool on_double(double number, json::string_view, json::error_code& ec) {
    if (!std::isfinite(number)) return refuse(Refusal::not_finite, ec);
    stack.push_double(number);
    return true;
  }
  bool on_bool(bool value, json::error_code&) {
    stack.push_bool(value);
    return true;
  }
  bool on_null(json::error_code&) {
    stack.push_null();
    return true;
  }

  json::value_stack stack;
  std::size_t members = 0;
  Refusal refusal = Refusal::none;
};

// Names the first member that comes twice; only run on a text known to have one.
struct DuplicateFinder : HandlerBase {
  bool on_object_begin(json::error_code&) {
    open.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t, json::error_code&) {
    open.pop_back();
    return true;
  }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(std::size_t, json::error_code&) { return true; }
  bool on_key_part(json::string_view s, std::size_t, json::error_code&) {
    key += s;
    return true;
  }
  bool on_key(json::string_view s, std::size_t, json::error_code& ec) {
    key += s;
    if (!open.back().insert(key).second) {
      ec = json::error::syntax;
      return false;
    }
    key.clear();
    return true;
  }
  bool on_string_part(json::string_view, std::size_t, json::error_code&) { return true; }
  bool on_string(json::string_view, std::size_t, json::error_code&) { return true; }
  bool on_int64(std::int64_t, json::string_view, json::error_code&) { return true; }
  bool on_uint64(std::uint64_t, json::string_view, json::error_code&) { return true; }
  bool on_double(double, json::string_view, json::error_code&) { return true; }
  bool on_bool(bool, json::error_code&) { return true; }
  bool on_null(json::error_code&) { return true; }

  std::vector<std::set<std::string>> open;
  std::string key;
};

json::parse_options options() {
  json::parse_options parse;
  parse.max_depth = json_depth_max;
  return parse;
}

std::size_t count_members(const json::value& value) {
  std::size_t count = 0;
  if (const auto* object = value.if_object()) {
    count = object->size();
    for (const auto& member : *object) count += count_members(member.value());
  } else if (const auto* array = value.if_array()) {
    for (const auto& item : *array) count += count_members(item);
  }
  return count;
}

JsonError duplicate_in(std::string_view text) {
  json::basic_parser<DuplicateFinder> parser{options()};
  json::error_code ec;
  parser.write_some(false, text.data(), text.size(), ec);
  std::string key = shortened(parser.handler().key);
  std::string message = "The JSON object has the member '" + key + "' more than once; send it once";
  return {JsonError::Kind::malformed, std::move(message), std::move(key)};
}

// Whether `text` ends within a surrogate written as \uD800 to \uDFFF, or right after one.
bool ends_with_surrogate(std::string_view text) {
  constexpr std::size_t escape_length = 6;
  constexpr std::string_view second_digits = "89abcdefABCDEF";
  const std::size_t from = text.size() > 2 * escape_length ? text.size() - 2 * escape_length : 0;
  for (std::size_t at = text.find("\\u", from); at != std::string_view::npos;
       at = text.find("\\u", at + 2)) {
    if (at + 3 < text.size() && (text[at + 2] == 'd' || text[at + 2] == 'D') &&
        second_digits.find(text[at + 3]) != std::string_view::npos) {
      return true;
    }
  }
  return false;
}

// What the parser calls a syntax error and a client can better be told by its name.
std::string_view name_of_error(std::string_view text, std::size_t at) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) {
    return "the body is empty; send a JSON object";
  }
  if (text.starts_with("\xEF\xBB\xBF")) return "it begins with a byte order mark; leave that out";
  const auto byte = static_cast<unsigned char>(at < text.size() ? text[at] : ' ');
  if (byte >= 0x80) return "it isn't valid UTF-8; encode the body in UTF-8";
  if (byte < 0x20) return "a control character in a string must be escaped, as \\n or \\u0001 is";
  if (ends_with_surrogate(text.substr(0, at))) {
    return "a lone surrogate is no character; escape both halves of the pair, or none";
  }
  return {};
}

JsonError error_of(const json::error_code& ec, Refusal refusal, std::string_view text,
                   std::size_t at) {
  const std::string where = " at byte " + std::to_string(at);
  if (ec == json::error::too_deep) {
    return {JsonError::Kind::too_deep,
            "The JSON is nested deeper than " + std::to_string(json_depth_max) + " levels" + where,
            {}};
  }
  if (refusal == Refusal::nul_character) {
    return {JsonError::Kind::malformed,
            "The JSON has a NUL character (\\u0000) in a string" + where + "; remove it",
            {}};
  }
  if (refusal == Refusal::not_finite) {
    return {JsonError::Kind::malformed, "The JSON has a number out of range" + where, {}};
  }
  std::string what{name_of_error(text, at)};
  if (what.empty()) what = ec.message();
  return {JsonError::Kind::malformed, "Malformed JSON" + where + ": " + what, {}};
}

}  // namespace

std::variant<json::value, JsonError> parse_strict_json(std::string_view text,
                                                       json::storage_ptr storage) {
  json::basic_parser<Builder> parser{options(), std::move(storage)};
  json::error_code ec;
  const std::size_t read = parser.write_some(false, text.data(), text.size(), ec);
  if (!ec && read < text.size()) ec = json::error::extra_data;
  Builder& builder = parser.handler();
  if (ec) return error_of(ec, builder.refusal, text, read);
  json::value value = builder.stack.release();
  if (count_members(value) != builder.members) return duplicate_in(text);
  return value;
}

std::string_view json_type_name(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "boolean";
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::double_:
      return "number";
    case json::kind::string:
      return "string";
    case json::kind::array:
      return "array";
    case json::kind::object:
      return "object";
  }
  std::abort();
}

}  // namespace contactd::domain
