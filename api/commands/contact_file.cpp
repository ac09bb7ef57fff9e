#include "api/commands/contact_file.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <istream>
#include <system_error>

#include "api/commands/byte_order_mark.hpp"
#include "api/commands/csv.hpp"
#include "api/commands/input_file.hpp"
#include "api/limits.hpp"
#include "domain/contact/fields.hpp"
#include "domain/json_text.hpp"
#include "domain/strict_json.hpp"
#include "infra/errors.hpp"

namespace contactd::api {
namespace {

namespace json = boost::json;
using domain::FieldSpec;

bool is_servers(std::string_view member) {
  return member == "id" || member == "created_at" || member == "updated_at";
}

bool is_escaped_in_tags(char c) { return c == ';' || c == '\\'; }

// Nothing if a backslash is no escape: what it stands for in another program's file, nobody knows.
std::optional<json::array> split_tags(const std::string& text) {
  json::array tags;
  std::string tag;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ';') {
      tags.emplace_back(tag);
      tag.clear();
      continue;
    }
    if (text[i] == '\\' && (++i == text.size() || !is_escaped_in_tags(text[i]))) {
      return std::nullopt;
    }
    tag += text[i];
  }
  tags.emplace_back(tag);
  return tags;
}

std::string join_tags(const json::array& tags) {
  std::string text;
  for (std::size_t i = 0; i < tags.size(); ++i) {
    if (i > 0) text += ';';
    for (const char c : tags[i].as_string()) {
      if (is_escaped_in_tags(c)) text += '\\';
      text += c;
    }
  }
  return text;
}

// What `read` returns. Throws infra::Unavailable if the file can't be read on.
template <class Read>
auto reading(const std::string& file, std::uint64_t line, const Read& read) try {
  return read();
} catch (const std::system_error& problem) {
  throw infra::Unavailable("can't read " + file + " from line " + std::to_string(line) +
                           " on: " + problem.code().message() + "; check the file and its disk");
}

std::string problem_with_name(const std::string& name) {
  const bool separated = name.find_first_of(";\t") != std::string::npos;
  return "the first row must name fields of a contact, and '" + name + "' is none" +
         (separated ? "; what separates them must be a comma" : "");
}

class CsvContacts final : public ContactReader {
 public:
  explicit CsvContacts(const std::string& file) : file_(name_of_input(file)), input_(file) {
    try {
      reading(file_, 1, [this] {
        rows_.emplace(input_);
        read_header(file_);
      });
    } catch (const BadCsv& problem) {
      throw infra::Unavailable(file + ", line " + std::to_string(problem.line) + ": " +
                               problem.what());
    }
  }

  std::optional<ContactLine> next() override {
    try {
      const auto row = reading(file_, rows_->line(), [this] { return rows_->next(); });
      if (!row) return std::nullopt;
      return contact_of(*row);
    } catch (const BadCsv& problem) {
      return ContactLine{problem.line, {}, problem.what(), true};
    }
  }

 private:
  void read_header(const std::string& file) {
    const auto header = rows_->next();
    if (!header) throw infra::Unavailable(file + " is empty; its first row must name the fields");
    for (const CsvField& field : header->fields) {
      const bool known = is_servers(field.text) || domain::field_named(field.text).has_value();
      if (!known) throw infra::Unavailable(file + ": " + problem_with_name(field.text));
      if (std::find(columns_.begin(), columns_.end(), field.text) != columns_.end()) {
        throw infra::Unavailable(file + ": the first row names '" + field.text + "' twice");
      }
      columns_.push_back(field.text);
    }
  }

  ContactLine contact_of(const CsvRecord& row) const {
    ContactLine line{row.line, {}, {}, false};
    if (row.too_large) {
      line.problem = too_large_to_send();
      return line;
    }
    if (row.fields.size() != columns_.size()) {
      const std::string fields = row.fields.size() == 1 ? " field" : " fields";
      line.problem = "it has " + std::to_string(row.fields.size()) + fields + ", the first row " +
                     std::to_string(columns_.size());
      return line;
    }
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const CsvField& field = row.fields[i];
      if (is_servers(columns_[i]) || (field.text.empty() && !field.quoted)) continue;
      if (!domain::is_utf8(field.text)) {
        line.problem = "its " + columns_[i] + " isn't UTF-8; save the file in that encoding";
        return line;
      }
      if (columns_[i] == name_of(domain::Field::tags)) {
        auto tags = split_tags(field.text);
        if (!tags) {
          line.problem = R"(its tags have a backslash that is no escape; write \\ for one)";
          return line;
        }
        line.fields[columns_[i]] = *std::move(tags);
      } else {
        line.fields[columns_[i]] = field.text;
      }
    }
    return line;
  }

  const std::string file_;
  InputFile input_;
  std::optional<CsvReader> rows_;  // on input_
  std::vector<std::string> columns_;
};

class JsonContacts final : public ContactReader {
 public:
  explicit JsonContacts(const std::string& file)
      : file_(name_of_input(file)), input_(file), stream_(&input_) {
    stream_.exceptions(std::ios::badbit);  // or a disk that fails looks like the file's end
  }

  std::optional<ContactLine> next() override {
    std::string text;
    do {
      if (!reading(file_, number_ + 1, [&] { return bool{std::getline(stream_, text)}; })) {
        return std::nullopt;
      }
      if (++number_ == 1 && text.starts_with(byte_order_mark))
        text.erase(0, byte_order_mark.size());
      if (text.ends_with('\r')) text.pop_back();
    } while (text.empty());
    ContactLine line{number_, {}, {}, false};
    if (text.size() > record_bytes_max) {
      line.problem = too_large_to_send();
      return line;
    }
    auto parsed = domain::parse_strict_json(text, {});
    if (const auto* error = std::get_if<domain::JsonError>(&parsed)) {
      line.problem = error->message;
      return line;
    }
    auto* object = std::get<json::value>(parsed).if_object();
    if (object == nullptr) {
      line.problem = "it is no JSON object";
      return line;
    }
    for (const auto& [name, value] : *object) {
      if (!is_servers(name) && !value.is_null()) line.fields[name] = value;
    }
    return line;
  }

 private:
  const std::string file_;
  InputFile input_;
  std::istream stream_;  // on input_
  std::uint64_t number_ = 0;
};

}  // namespace

std::optional<std::string> format_of(const std::string& given, const std::string& file) {
  if (!given.empty()) return given;
  std::string name = file;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const char* format : {"csv", "jsonl"}) {
    if (name.ends_with(std::string{"."} + format)) return format;
  }
  return std::nullopt;
}

std::unique_ptr<ContactReader> open_contacts(const std::string& file, const std::string& format) {
  if (format == "csv") return std::make_unique<CsvContacts>(file);
  return std::make_unique<JsonContacts>(file);
}

std::string too_large_to_send() {
  return "too large; the server takes at most " + std::to_string(limits::body_bytes_max) +
         " bytes of JSON";
}

std::string csv_header() {
  std::string row = "id";
  for (const FieldSpec& spec : domain::field_table) row += ',' + std::string{spec.name};
  return row + ",created_at,updated_at\r\n";
}

std::string csv_row(const json::object& contact) {
  std::string row{contact.at("id").as_string()};
  for (const FieldSpec& spec : domain::field_table) {
    row += ',';
    const json::value& value = contact.at(spec.name);
    if (const auto* text = value.if_string()) append_csv(row, *text);
    if (const auto* tags = value.if_array(); tags != nullptr && !tags->empty()) {
      append_csv(row, join_tags(*tags));
    }
  }
  for (const char* time : {"created_at", "updated_at"}) {
    row += ',';
    row += contact.at(time).as_string();
  }
  return row + "\r\n";
}

}  // namespace contactd::api
