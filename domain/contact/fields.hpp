#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace contactd::domain {

// The members of a contact that a client may set, in the order in which every response has them.
enum class Field : std::uint8_t {
  first_name,
  last_name,
  email,
  phone_number,
  status,
  job_title,
  company,
  university,
  gender,
  birthday,
  location,
  linkedin,
  instagram,
  twitter,
  github,
  website,
  tags,
};

// What a client may put into a field.
enum class FieldKind : std::uint8_t {
  text,           // a string; null is refused
  nullable_text,  // a string, or null, which clears
  email,          // an EmailAddress; null is refused
  status,         // "active" or "inactive"
  tags,           // an array of strings, which replaces the whole; null is refused
};

// Lengths are in characters (Unicode code points), except the email's, which are octets.
struct FieldSpec {
  Field field;
  std::string_view name;
  FieldKind kind;
  std::size_t length_max;  // of the string, or of each tag
};

inline constexpr std::size_t tags_max = 100;

// The field table: the one place that says which fields there are and what they take.
inline constexpr std::array field_table = {
    FieldSpec{Field::first_name, "first_name", FieldKind::text, 1000},
    FieldSpec{Field::last_name, "last_name", FieldKind::text, 1000},
    FieldSpec{Field::email, "email", FieldKind::email, 254},
    FieldSpec{Field::phone_number, "phone_number", FieldKind::text, 1000},
    FieldSpec{Field::status, "status", FieldKind::status, 8},
    FieldSpec{Field::job_title, "job_title", FieldKind::nullable_text, 1000},
    FieldSpec{Field::company, "company", FieldKind::nullable_text, 1000},
    FieldSpec{Field::university, "university", FieldKind::nullable_text, 1000},
    FieldSpec{Field::gender, "gender", FieldKind::nullable_text, 1000},
    FieldSpec{Field::birthday, "birthday", FieldKind::nullable_text, 1000},
    FieldSpec{Field::location, "location", FieldKind::nullable_text, 1000},
    FieldSpec{Field::linkedin, "linkedin", FieldKind::nullable_text, 2000},
    FieldSpec{Field::instagram, "instagram", FieldKind::nullable_text, 2000},
    FieldSpec{Field::twitter, "twitter", FieldKind::nullable_text, 2000},
    FieldSpec{Field::github, "github", FieldKind::nullable_text, 2000},
    FieldSpec{Field::website, "website", FieldKind::nullable_text, 2000},
    FieldSpec{Field::tags, "tags", FieldKind::tags, 100},
};
inline constexpr std::size_t field_count = field_table.size();

constexpr std::size_t index_of(Field field) { return static_cast<std::size_t>(field); }
constexpr const FieldSpec& spec_of(Field field) { return field_table[index_of(field)]; }
constexpr std::string_view name_of(Field field) { return spec_of(field).name; }

// The field of that name, if there is one.
std::optional<Field> field_named(std::string_view name);

inline constexpr std::string_view status_active = "active";
inline constexpr std::string_view status_inactive = "inactive";

}  // namespace contactd::domain
