#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "domain/contact/contact.hpp"

namespace contactd::projections {

// A contact as its readers want it: the row of table `contacts`.
//
//   format:1 (= 1)  json_at:2  version:8  updated_at_ms:8  created_at_ms:8  offset:8
//   changed_in, one varint a field, in the order of the field table
//   json, from byte json_at on: the contact as the API answers it
//
// A GET copies the JSON; only the writer takes it apart, along the canonical text.
struct ContactView {
  domain::Contact contact;
  std::uint64_t offset = 0;  // of the event that last touched it
  std::string row;

  std::string_view json() const;
};

// The part of a row that a reader needs; points into the row. Throws CorruptRecord.
struct ContactDocument {
  domain::Version version = 0;
  std::uint64_t offset = 0;  // of the event that last touched the contact
  std::string_view json;
};
ContactDocument read_document(std::string_view row);

// Renders the row of `contact`, last touched by the event at `offset`.
ContactView render(domain::Contact contact, std::uint64_t offset);

// The opposite of render(). Throws CorruptRecord.
ContactView read_contact(std::string row);

// `{"id":...,"updated_at":...}`: the contact's members in the contract's order.
void append_contact_json(std::string& out, const domain::Contact& contact);

}  // namespace contactd::projections
