#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <streambuf>
#include <string>
#include <string_view>
#include <vector>

// CSV as RFC 4180 has it, strictly. A byte order mark at the beginning is passed over; lines end
// with CRLF or LF.
namespace contactd::api {

struct CsvField {
  std::string text;
  bool quoted = false;  // so that "" can be told from nothing
};

struct CsvRecord {
  std::uint64_t line = 0;  // the first of those that it takes; from 1
  std::vector<CsvField> fields;
  bool too_large = false;  // more than any contact can have; then the fields aren't all
};

// More than any contact can have, of either format; without a bound, one stray quote would take the
// whole file into memory.
inline constexpr std::size_t record_bytes_max = 4U << 20U;

// Where the file isn't CSV; what follows can't be told apart.
struct BadCsv : std::runtime_error {
  BadCsv(std::uint64_t on_line, const std::string& sentence)
      : std::runtime_error(sentence), line(on_line) {}
  std::uint64_t line;
};

class CsvReader {
 public:
  // `input` must outlive the reader.
  explicit CsvReader(std::streambuf& input);

  // The next record; nothing at the end. An empty line is no record. Throws BadCsv.
  std::optional<CsvRecord> next();
  // The line that is read next; from 1.
  std::uint64_t line() const { return line_; }

 private:
  static constexpr int end = std::char_traits<char>::eof();

  bool read_field(CsvRecord& record);
  void read_quoted(CsvRecord& record, std::string& text);
  void read_plain(CsvRecord& record, std::string& text);
  bool at_separator();
  bool has_room(CsvRecord& record);
  void add(CsvRecord& record, std::string& text, int byte);

  std::streambuf& input_;
  std::uint64_t line_ = 1;
  std::size_t bytes_ = 0;  // of the record that is read
};

// Appends a field, quoted where it must be, or where it is empty: nothing at all is no field.
void append_csv(std::string& out, std::string_view text);

}  // namespace contactd::api
