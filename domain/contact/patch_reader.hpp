#pragma once

#include <boost/json/value.hpp>
#include <variant>

#include "domain/contact/contact.hpp"
#include "domain/validation.hpp"

namespace contactd::domain {

// Reads the body of a PATCH or POST by the field table: known members only, each of its field's
// kind and length. Emails come out normalized. Returns the patch, or all that is wrong with it.
std::variant<ContactPatch, ValidationErrors> read_patch(const boost::json::value& body);

// Adds what the contract says of members that aren't known: in the form errors, all in one
// sentence, and one by one in the field errors. Does nothing where `names` is empty.
void refuse_unknown_members(ValidationErrors& errors, const std::vector<std::string>& names);

// How many characters (Unicode code points) `utf8` has. REQUIRES: valid UTF-8.
std::size_t count_characters(std::string_view utf8);

}  // namespace contactd::domain
