#include "api/list_query.hpp"

#include "api/cursor.hpp"
#include "api/limits.hpp"
#include "api/query_values.hpp"
#include "domain/contact/fields.hpp"
#include "domain/email_address.hpp"
#include "domain/instant.hpp"

namespace contactd::api {
namespace {

using projections::keys::UpdatePosition;

constexpr std::uint64_t cursor_format = 1;
constexpr std::uint64_t past_cursor_format = 2;
constexpr std::size_t cursor_length = 2 + 16 + 16;
constexpr std::string_view bad_paging = "Invalid pagination parameters";
constexpr std::uint64_t page_max = 1'000'000'000;

std::uint64_t format_of(const ListRequest& request) {
  return request.at ? past_cursor_format : cursor_format;
}

// What a cursor of the request leads on in.
std::string list_of(const ListRequest& request, const domain::OrganizationId& organization) {
  std::string list = "contacts of " + organization.str();
  if (request.at) list += " at " + std::to_string(request.at->unix_ms);
  return list;
}

std::optional<UpdatePosition> position_from(std::string_view cursor, const ListRequest& request,
                                            const domain::OrganizationId& organization) {
  const auto text = without_checksum(cursor, list_of(request, organization));
  if (!text || text->size() != cursor_length) return std::nullopt;
  const auto format = whole_number(text->substr(0, 2), 16);
  const auto updated_at = whole_number(text->substr(2, 16), 16);
  const auto offset = whole_number(text->substr(18), 16);
  if (format != format_of(request) || !updated_at || !offset) return std::nullopt;
  if (*updated_at > stored_number_max || *offset > stored_number_max) return std::nullopt;
  return UpdatePosition{{static_cast<std::int64_t>(*updated_at)}, *offset};
}

ErrorText read_status(ListRequest& request, std::string_view value) {
  request.query.active = request.query.inactive = false;
  for (;;) {
    const std::size_t comma = value.find(',');
    const std::string_view status = value.substr(0, comma);
    if (status == domain::status_active) {
      request.query.active = true;
    } else if (status == domain::status_inactive) {
      request.query.inactive = true;
    } else {
      return "Invalid query parameter 'status': give active, inactive, or both with a comma";
    }
    if (comma == std::string_view::npos) return std::nullopt;
    value.remove_prefix(comma + 1);
  }
}

ErrorText read_time(std::optional<domain::Instant>& time, const std::string& name,
                    std::string_view value) {
  time = time_value(value);
  if (time) return std::nullopt;
  return invalid_time(name);
}

ErrorText read_email(ListRequest& request, std::string_view value) {
  const auto email = domain::EmailAddress::parse(value);
  if (!email)
    return "Invalid query parameter 'email': give a valid email address (a + in it is written %2B)";
  request.query.email = email->str();
  return std::nullopt;
}

ErrorText read_tag(ListRequest& request, const std::string& value) {
  // Neither would be found, and a NUL would end the tag within the index's key.
  if (value.find('\0') != std::string::npos) {
    return "Invalid query parameter 'tag': it must not contain a NUL character";
  }
  request.query.tag = value;
  return std::nullopt;
}

// The present's cursors are no good for the past, nor the other way round.
ErrorText read_cursor(ListRequest& request, const domain::OrganizationId& organization,
                      std::string_view value) {
  if (value.empty()) return std::nullopt;  // from the beginning
  request.query.after = position_from(value, request, organization);
  if (request.query.after) return std::nullopt;
  return std::string{bad_cursor};
}

// A paging parameter: from 1 to `high`.
ErrorText read_paging(std::optional<std::uint64_t>& number, domain::ValidationErrors& errors,
                      const std::string& name, const std::string& value, std::uint64_t high) {
  number = number_between(value, 1, high);
  if (number) return std::nullopt;
  errors.add(name, "Expected a whole number from 1 to " + std::to_string(high));
  return std::string{bad_paging};
}

ErrorText read_param(ListRequest& request, domain::ValidationErrors& errors,
                     const std::string& name, const std::string& value) {
  if (name == "page") return read_paging(request.page, errors, name, value, page_max);
  if (name == "page_size") {
    std::optional<std::uint64_t> size;
    auto error = read_paging(size, errors, name, value, limits::page_size_max);
    request.query.page_size = size.value_or(request.query.page_size);
    return error;
  }
  if (name == "cursor") {
    request.by_cursor = true;
    return std::nullopt;  // read once it is known whether `at` is given
  }
  if (name == "at") return read_time(request.at, name, value);
  if (name == "status") return read_status(request, value);
  if (name == "email") return read_email(request, value);
  if (name == "tag") return read_tag(request, value);
  if (name == "updated_from") return read_time(request.query.updated_from, name, value);
  if (name == "updated_to") return read_time(request.query.updated_to, name, value);
  return "Unknown query parameter '" + name +
         "'; known are page, page_size, cursor, status, email, tag, updated_from, updated_to, "
         "at";
}

}  // namespace

std::variant<ListRequest, BadListRequest> read_list_request(
    const Target& target, const domain::OrganizationId& organization) {
  ListRequest request;
  request.query.page_size = limits::page_size_default;
  domain::ValidationErrors errors;
  const auto read = [&](const auto& name, const auto& value) {
    return read_param(request, errors, name, value);
  };
  if (auto error = read_params(target, read)) {
    return BadListRequest{*std::move(error), std::move(errors)};
  }
  if (request.by_cursor && request.page) {
    errors.add("page", "Expected either page or cursor, not both");
    return BadListRequest{std::string{bad_paging}, std::move(errors)};
  }
  for (const auto& [name, value] : target.params) {
    if (name == "cursor") {
      if (auto error = read_cursor(request, organization, value)) {
        return BadListRequest{*std::move(error), {}};
      }
    } else if (request.at && name != "at" && name != "page" && name != "page_size") {
      return BadListRequest{"Query parameter '" + name +
                                "' can't be given with 'at', which takes page, "
                                "page_size and cursor",
                            {}};
    }
  }
  if (!request.by_cursor) {
    request.query.count = true;
    request.query.skip = (request.page.value_or(1) - 1) * request.query.page_size;
  }
  return request;
}

std::string cursor_text(const ListRequest& request, const domain::OrganizationId& organization,
                        const UpdatePosition& position) {
  std::string text;
  append_hex(text, format_of(request), 2);
  append_hex(text, static_cast<std::uint64_t>(position.updated_at.unix_ms), 16);
  append_hex(text, position.offset, 16);
  return with_checksum(std::move(text), list_of(request, organization));
}

}  // namespace contactd::api
