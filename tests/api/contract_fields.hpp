#pragma once

#include <array>
#include <string_view>

// What the contract says of the contact's members, written down a second time on purpose: the
// tests must not learn it from the code that they test.
namespace contactd::test {

// Of every response, in this order.
inline constexpr std::array<std::string_view, 20> contact_members = {
    "id",      "first_name", "last_name", "email",    "phone_number", "status",    "job_title",
    "company", "university", "gender",    "birthday", "location",     "linkedin",  "instagram",
    "twitter", "github",     "website",   "tags",     "created_at",   "updated_at"};

enum class Takes { text, text_or_null, email, status, tags };

struct ContractField {
  std::string_view name;
  Takes takes;
  std::size_t length_max;  // in characters; of a tag for the tags
};

inline constexpr std::array<ContractField, 17> contract_fields = {{
    {"first_name", Takes::text, 1000},
    {"last_name", Takes::text, 1000},
    {"email", Takes::email, 254},
    {"phone_number", Takes::text, 1000},
    {"status", Takes::status, 8},
    {"job_title", Takes::text_or_null, 1000},
    {"company", Takes::text_or_null, 1000},
    {"university", Takes::text_or_null, 1000},
    {"gender", Takes::text_or_null, 1000},
    {"birthday", Takes::text_or_null, 1000},
    {"location", Takes::text_or_null, 1000},
    {"linkedin", Takes::text_or_null, 2000},
    {"instagram", Takes::text_or_null, 2000},
    {"twitter", Takes::text_or_null, 2000},
    {"github", Takes::text_or_null, 2000},
    {"website", Takes::text_or_null, 2000},
    {"tags", Takes::tags, 100},
}};

}  // namespace contactd::test
