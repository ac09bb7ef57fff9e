#pragma once

#include <array>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "domain/contact/fields.hpp"
#include "domain/ids.hpp"
#include "domain/instant.hpp"
#include "domain/json_text.hpp"

namespace contactd::domain {

// A field's value, held as its canonical JSON text (see json_text.hpp): null, a string or an array
// of strings. The rules look at a value only to compare it, and every reader of it wants JSON, so
// nothing is gained by taking it apart.
class FieldValue {
 public:
  FieldValue() : json_("null") {}

  static FieldValue text(std::string_view utf8) { return FieldValue{json_string(utf8)}; }
  static FieldValue list(const std::vector<std::string>& items) {
    std::string json = "[";
    for (const std::string& item : items) {
      if (json.size() > 1) json += ',';
      append_json_string(json, item);
    }
    return FieldValue{std::move(json += ']')};
  }
  // REQUIRES: canonical_value_length(json) == json.size().
  static FieldValue from_canonical(std::string_view json) { return FieldValue{std::string{json}}; }

  const std::string& json() const { return json_; }
  bool is_null() const { return json_ == "null"; }
  // What stands between the quotes. REQUIRES: a string in which nothing is escaped, such as an
  // email address or a status.
  std::string_view unquoted() const { return std::string_view{json_}.substr(1, json_.size() - 2); }

  auto operator<=>(const FieldValue&) const = default;

 private:
  explicit FieldValue(std::string json) : json_(std::move(json)) {}

  std::string json_;
};

// A field's value where it stands in something else; holds as long as that does.
class FieldView {
 public:
  FieldView() = default;
  // Implicit both ways, as std::string_view is of a std::string.
  FieldView(const FieldValue& value)  // NOLINT(google-explicit-constructor)
      : json_(value.json()) {}
  // REQUIRES: canonical_value_length(json) == json.size().
  static FieldView from_canonical(std::string_view json) { return FieldView{json}; }
  operator FieldValue() const {  // NOLINT(google-explicit-constructor)
    return FieldValue::from_canonical(json_);
  }

  std::string_view json() const { return json_; }
  bool is_null() const { return json_ == "null"; }
  // As FieldValue's.
  std::string_view unquoted() const { return json_.substr(1, json_.size() - 2); }

  friend bool operator==(FieldView a, FieldView b) { return a.json_ == b.json_; }
  friend bool operator==(FieldView a, const FieldValue& b) { return a.json_ == b.json(); }

 private:
  explicit FieldView(std::string_view json) : json_(json) {}

  std::string_view json_ = "null";
};

// What a field reads that was never set.
inline FieldView unset_value(Field field) {
  return FieldView::from_canonical(field == Field::tags ? "[]" : "null");
}

// A value for each field, all in one text: a contact is copied often, its fields changed rarely.
class FieldValues {
 public:
  // All unset.
  FieldValues();
  explicit FieldValues(const std::array<FieldView, field_count>& values);

  FieldView operator[](Field field) const {
    const std::size_t begin = begin_of(field);
    return FieldView::from_canonical(
        std::string_view{text_}.substr(begin, ends_[index_of(field)] - begin));
  }
  void set(Field field, FieldView value);
  // Of all values, as JSON.
  std::size_t bytes() const { return text_.size(); }

  auto operator<=>(const FieldValues&) const = default;

 private:
  std::size_t begin_of(Field field) const {
    return field == field_table.front().field ? 0 : ends_[index_of(field) - 1];
  }

  std::string text_;                             // in the order of the field table
  std::array<std::size_t, field_count> ends_{};  // where in it each one ends
};

// Sets a field to null.
struct Clear {
  auto operator<=>(const Clear&) const = default;
};

// A strict three-state patch: a field that isn't named is kept, a named one is cleared or set.
// The reader of a body puts only values into it that the field's kind allows (patch_reader.hpp).
struct FieldPatch {
  Field field;
  std::variant<Clear, FieldValue> to;

  auto operator<=>(const FieldPatch&) const = default;
};
using ContactPatch = std::vector<FieldPatch>;  // at most one entry a field

struct FieldChange {
  Field field;
  FieldValue before;
  FieldValue after;

  auto operator<=>(const FieldChange&) const = default;
};

struct Contact {
  ContactId id;
  Version version = 0;
  Instant created_at;
  Instant updated_at;
  FieldValues values;
  // The version in which each field last changed; 0 where it never was set.
  std::array<Version, field_count> changed_in{};

  FieldView operator[](Field field) const { return values[field]; }
  auto operator<=>(const Contact&) const = default;
};

// A contact that never was or was deleted; ids are never used twice, so the two are one.
struct Absent {
  auto operator<=>(const Absent&) const = default;
};
using ContactState = std::variant<Absent, Contact>;

}  // namespace contactd::domain
