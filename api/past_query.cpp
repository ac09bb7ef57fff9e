#include "api/past_query.hpp"

#include <limits>

#include "api/cursor.hpp"
#include "api/limits.hpp"
#include "api/query_values.hpp"

namespace contactd::api {
namespace {

constexpr std::uint64_t history_cursor_format = 3;
constexpr std::size_t history_cursor_length = 2 + 16;

// What a cursor leads on in.
std::string history_of(const domain::OrganizationId& organization, std::string_view contact) {
  return "history of " + organization.str() + ' ' + std::string{contact};
}

std::optional<domain::Version> version_in_cursor(std::string_view cursor,
                                                 const std::string& history) {
  const auto text = without_checksum(cursor, history);
  if (!text || text->size() != history_cursor_length) return std::nullopt;
  const auto version = whole_number(text->substr(2), 16);
  if (whole_number(text->substr(0, 2), 16) != history_cursor_format || version == 0 ||
      version > stored_number_max) {
    return std::nullopt;
  }
  return version;
}

ErrorText read_fields(infra::HistoryQuery& query, std::string_view value) {
  for (;;) {
    const std::size_t comma = value.find(',');
    const auto field = domain::field_named(value.substr(0, comma));
    if (!field) {
      return "Invalid query parameter 'field': give names of a contact's fields, such as "
             "email,tags";
    }
    query.fields.push_back(*field);
    if (comma == std::string_view::npos) return std::nullopt;
    value.remove_prefix(comma + 1);
  }
}

ErrorText read_history_param(infra::HistoryQuery& query, const std::string& history,
                             const std::string& name, const std::string& value) {
  if (name == "limit") {
    return read_number(query.count, name, value, 1, limits::page_size_max);
  }
  if (name == "cursor") {
    if (value.empty()) return std::nullopt;  // from the newest on
    query.before = version_in_cursor(value, history);
    if (query.before) return std::nullopt;
    return std::string{bad_cursor};
  }
  if (name == "field") return read_fields(query, value);
  return "Unknown query parameter '" + name + "'; known are limit, cursor, field";
}

ErrorText read_moment_param(std::optional<infra::Moment>& moment, const std::string& name,
                            const std::string& value) {
  if (name == "version") {
    const auto version = number_between(value, 1, std::numeric_limits<std::uint64_t>::max());
    if (!version) return "Invalid query parameter 'version': give a whole number from 1";
    moment = *version;
    return std::nullopt;
  }
  if (name == "at") {
    const auto time = time_value(value);
    if (!time) return invalid_time(name);
    moment = *time;
    return std::nullopt;
  }
  return "Unknown query parameter '" + name + "'; known are version, at";
}

}  // namespace

std::variant<std::optional<infra::Moment>, std::string> read_moment(const Target& target) {
  std::optional<infra::Moment> moment;
  const auto read = [&](const auto& name, const auto& value) {
    return read_moment_param(moment, name, value);
  };
  if (auto error = read_params(target, read)) return *std::move(error);
  if (target.params.size() > 1)
    return std::string{"Give one of the query parameters 'version' and 'at'"};
  return moment;
}

std::variant<infra::HistoryQuery, std::string> read_history_query(
    const Target& target, const domain::OrganizationId& organization, std::string_view contact) {
  const std::string history = history_of(organization, contact);
  infra::HistoryQuery query;
  query.count = limits::page_size_default;
  query.bytes_max = limits::page_bytes_max;
  const auto read = [&](const auto& name, const auto& value) {
    return read_history_param(query, history, name, value);
  };
  if (auto error = read_params(target, read)) return *std::move(error);
  return query;
}

std::string history_cursor(const domain::OrganizationId& organization, std::string_view contact,
                           domain::Version version) {
  std::string text;
  append_hex(text, history_cursor_format, 2);
  append_hex(text, version, 16);
  return with_checksum(std::move(text), history_of(organization, contact));
}

}  // namespace contactd::api
