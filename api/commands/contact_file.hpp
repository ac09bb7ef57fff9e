#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

// Contacts as files, for `contactd export` and `contactd import`.
//
// jsonl: a contact's JSON on each line, as the API has it. csv: a header row that names the members
// of a contact, then a row each. In csv, a field with nothing in it was never set, "" is the empty
// string; tags are separated by ; and a ; or \ in a tag has a \ before it.
namespace contactd::api {

// "csv" or "jsonl": as given, or else as the file's name ends, in letters of either case; nothing
// if that doesn't tell.
std::optional<std::string> format_of(const std::string& given, const std::string& file);

// One contact of a file, or why it is none.
struct ContactLine {
  std::uint64_t number = 0;    // from 1
  boost::json::object fields;  // those that are set: what a POST takes
  std::string problem;         // a sentence; empty if there is none
  bool last = false;           // the problem is one past which the file can't be read
};

class ContactReader {
 public:
  virtual ~ContactReader() = default;
  // Nothing at the file's end. Throws infra::Unavailable if the file can't be read on; Interrupted.
  virtual std::optional<ContactLine> next() = 0;
};
// Passes over `id`, `created_at` and `updated_at`: they are the server's. So is a null, which is
// what a field reads that was never set. The file `-` is standard input. Throws infra::Unavailable
// if the file can't be read, or if its header row isn't one.
std::unique_ptr<ContactReader> open_contacts(const std::string& file, const std::string& format);

// What is wrong with a contact that no request can carry: a sentence.
std::string too_large_to_send();

std::string csv_header();
std::string csv_row(const boost::json::object& contact);

}  // namespace contactd::api
