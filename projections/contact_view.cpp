#include "projections/contact_view.hpp"

#include "projections/binary.hpp"

namespace contactd::projections {
namespace {

using namespace domain;

constexpr std::uint8_t contact_row_format = 1;
constexpr std::string_view id_opening = R"({"id":")";
constexpr std::size_t times_length =
    std::string_view{R"(,"created_at":"2025-07-15T10:30:00.000Z")"}.size() +
    std::string_view{R"(,"updated_at":"2025-07-15T10:30:00.000Z"})"}.size();

void require(bool holds) {
  if (!holds) throw CorruptRecord("a row of contacts isn't as this release writes it");
}

// `,"name":` of each field.
std::array<std::string, field_count> make_openings() {
  std::array<std::string, field_count> openings;
  for (const FieldSpec& spec : field_table) {
    openings[index_of(spec.field)] = R"(,")" + std::string{spec.name} + R"(":)";
  }
  return openings;
}
const std::array<std::string, field_count>& openings() {
  static const auto all = make_openings();
  return all;
}

// Takes `,"name":` and the value after it off the front of `json`.
FieldView take_member(std::string_view& json, std::string_view opening) {
  require(json.starts_with(opening));
  json.remove_prefix(opening.size());
  const auto length = canonical_value_length(json);
  require(length.has_value());
  const auto value = FieldView::from_canonical(json.substr(0, *length));
  json.remove_prefix(*length);
  return value;
}

}  // namespace

std::string_view ContactView::json() const { return read_document(row).json; }

ContactDocument read_document(std::string_view row) {
  BinaryReader reader{row};
  require(reader.number<std::uint8_t>() == contact_row_format);
  const auto json_at = reader.number<std::uint16_t>();
  const auto version = reader.number<Version>();
  reader.take(2 * sizeof(Instant::unix_ms));
  const auto offset = reader.number<std::uint64_t>();
  require(json_at < row.size());
  return {version, offset, row.substr(json_at)};
}

ContactView render(Contact contact, std::uint64_t offset) {
  std::string varints;
  for (const Version version : contact.changed_in) append_varint(varints, version);
  constexpr std::size_t fixed = 1 + 2 + 8 + 8 + 8 + 8;
  std::string row;
  row.reserve(1024);
  append_number(row, contact_row_format);
  append_number(row, static_cast<std::uint16_t>(fixed + varints.size()));
  append_number(row, contact.version);
  append_number(row, contact.updated_at.unix_ms);
  append_number(row, contact.created_at.unix_ms);
  append_number(row, offset);
  row += varints;
  append_contact_json(row, contact);
  return {std::move(contact), offset, std::move(row)};
}

ContactView read_contact(std::string row) {
  BinaryReader reader{row};
  require(reader.number<std::uint8_t>() == contact_row_format);
  const auto json_at = reader.number<std::uint16_t>();
  ContactView view;
  Contact& contact = view.contact;
  contact.version = reader.number<Version>();
  contact.updated_at.unix_ms = reader.number<std::int64_t>();
  contact.created_at.unix_ms = reader.number<std::int64_t>();
  view.offset = reader.number<std::uint64_t>();
  for (Version& version : contact.changed_in) version = reader.varint();

  std::string_view json = reader.rest();
  require(json_at + json.size() == row.size());
  require(json.starts_with(id_opening) && json.size() > id_opening.size() + ContactId::length);
  const auto id = ContactId::parse(json.substr(id_opening.size(), ContactId::length));
  require(id.has_value());
  contact.id = *id;
  json.remove_prefix(id_opening.size() + ContactId::length + 1);
  std::array<FieldView, field_count> values;
  for (std::size_t i = 0; i < field_count; ++i) values[i] = take_member(json, openings()[i]);
  contact.values = FieldValues{values};
  require(json.size() == times_length);
  view.row = std::move(row);
  return view;
}

void append_contact_json(std::string& out, const Contact& contact) {
  out += id_opening;
  out += contact.id.view();
  out += '"';
  for (const FieldSpec& spec : field_table) {
    out += openings()[index_of(spec.field)];
    out += contact[spec.field].json();
  }
  out += R"(,"created_at":")";
  append_iso8601(out, contact.created_at);
  out += R"(","updated_at":")";
  append_iso8601(out, contact.updated_at);
  out += R"("})";
}

}  // namespace contactd::projections
