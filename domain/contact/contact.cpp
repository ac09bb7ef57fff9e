#include "domain/contact/contact.hpp"

namespace contactd::domain {
namespace {

std::array<FieldView, field_count> unset_values() {
  std::array<FieldView, field_count> values;
  for (const FieldSpec& spec : field_table) values[index_of(spec.field)] = unset_value(spec.field);
  return values;
}

}  // namespace

FieldValues::FieldValues() : FieldValues(unset_values()) {}

FieldValues::FieldValues(const std::array<FieldView, field_count>& values) {
  std::size_t length = 0;
  for (const FieldView& value : values) length += value.json().size();
  text_.reserve(length);
  for (std::size_t i = 0; i < field_count; ++i) {
    text_ += values[i].json();
    ends_[i] = text_.size();
  }
}

void FieldValues::set(Field field, FieldView value) {
  const std::size_t begin = begin_of(field);
  const std::size_t before = ends_[index_of(field)] - begin;
  const std::string_view after = value.json();
  text_.replace(begin, before, after);
  for (std::size_t i = index_of(field); i < field_count; ++i) ends_[i] += after.size() - before;
}

}  // namespace contactd::domain
