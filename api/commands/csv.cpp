#include "api/commands/csv.hpp"

#include "api/commands/byte_order_mark.hpp"

namespace contactd::api {

CsvReader::CsvReader(std::streambuf& input) : input_(input) {
  std::size_t matched = 0;
  while (matched < byte_order_mark.size() &&
         input_.sgetc() == static_cast<unsigned char>(byte_order_mark[matched])) {
    input_.sbumpc();
    ++matched;
  }
  if (matched == byte_order_mark.size()) return;
  for (; matched > 0; --matched) input_.sungetc();  // a character that begins like it
}

std::optional<CsvRecord> CsvReader::next() {
  for (;;) {
    if (input_.sgetc() == end) return std::nullopt;
    CsvRecord record{line_, {}};
    bytes_ = 0;
    while (read_field(record)) {
    }
    const bool empty_line = record.fields.size() == 1 && record.fields.front().text.empty() &&
                            !record.fields.front().quoted;
    if (!empty_line) return record;
  }
}

// Returns whether another one follows in the record.
bool CsvReader::read_field(CsvRecord& record) {
  CsvField field;
  field.quoted = input_.sgetc() == '"';
  if (field.quoted) {
    read_quoted(record, field.text);
  } else {
    read_plain(record, field.text);
  }
  if (has_room(record)) record.fields.push_back(std::move(field));
  const int byte = input_.sbumpc();
  if (byte == ',') return true;
  if (byte == '\r') input_.sbumpc();
  if (byte != end) ++line_;
  return false;
}

void CsvReader::read_quoted(CsvRecord& record, std::string& text) {
  input_.sbumpc();
  for (;;) {
    const int byte = input_.sbumpc();
    if (byte == end) throw BadCsv(record.line, "a quoted field has no closing quote");
    if (byte == '"') {
      if (input_.sgetc() != '"') break;
      input_.sbumpc();
    }
    if (byte == '\n') ++line_;
    add(record, text, byte);
  }
  if (!at_separator()) throw BadCsv(line_, "a quoted field goes on behind its closing quote");
}

void CsvReader::read_plain(CsvRecord& record, std::string& text) {
  while (!at_separator()) {
    const int byte = input_.sbumpc();
    if (byte == '"') throw BadCsv(line_, "a field has a quote and isn't quoted");
    if (byte == '\r') throw BadCsv(line_, "a field has a carriage return and isn't quoted");
    add(record, text, byte);
  }
}

// Whether a field ends here: comma, CRLF, LF, or the end of the file.
bool CsvReader::at_separator() {
  const int byte = input_.sgetc();
  if (byte == end || byte == ',' || byte == '\n') return true;
  if (byte != '\r') return false;
  input_.sbumpc();
  const bool line_end = input_.sgetc() == '\n';
  input_.sungetc();
  return line_end;
}

// Of a record that has none the rest is passed over, so that the next one is found.
bool CsvReader::has_room(CsvRecord& record) {
  if (++bytes_ > record_bytes_max) record.too_large = true;
  return !record.too_large;
}

void CsvReader::add(CsvRecord& record, std::string& text, int byte) {
  if (has_room(record)) text += static_cast<char>(byte);
}

void append_csv(std::string& out, std::string_view text) {
  if (!text.empty() && text.find_first_of(",\"\r\n") == std::string_view::npos) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

}  // namespace contactd::api
