#include "domain/contact/fields.hpp"

namespace contactd::domain {
namespace {

constexpr bool table_is_in_order() {
  for (std::size_t i = 0; i < field_count; ++i) {
    if (index_of(field_table[i].field) != i) return false;
  }
  return true;
}
static_assert(table_is_in_order(), "spec_of() looks a field up by its number");

}  // namespace

std::optional<Field> field_named(std::string_view name) {
  for (const FieldSpec& spec : field_table) {
    if (spec.name == name) return spec.field;
  }
  return std::nullopt;
}

}  // namespace contactd::domain
