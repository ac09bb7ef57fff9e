#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "domain/events.hpp"

// The stored form of an event's data: a JSON object, and a type name beside it.
// Stored for ever. Add a v2; never rename, never change a meaning. Frozen by tests/golden/events.
namespace contactd::domain {

// "contactd.contact.updated.v1" and its siblings. An event that was read from an older version
// without loss is written as that version again.
std::string_view type_of(const Event& event);

// Every type name that was ever stored, older versions too.
std::span<const std::string_view> stored_types();

// The event's data as JSON text; equal events give equal bytes.
std::string encode_data(const Event& event);

// The data of a contact's event as encode_data() writes it, from its parts: `changes` is what
// append_changes() has made of them, empty for a deletion.
void append_contact_data(std::string& out, const ContactId& contact, Version version,
                         std::string_view changes);

struct Undecodable {
  std::string reason;  // a sentence for the operator; without contact data
};

// The event that `type` and `data` say. Total: on anything that encode_data() couldn't have
// written, the reason.
std::variant<Event, Undecodable> decode_data(std::string_view type, std::string_view data);

// `{"first_name":{"old":null,"new":"Jane"},...}` in the order of the field table.
void append_changes(std::string& out, const std::vector<FieldChange>& changes);

// A rejection as JSON, and back; nothing if it isn't one.
void append_rejection(std::string& out, const Rejection& rejection);
std::optional<Rejection> read_rejection(const boost::json::value& json);

}  // namespace contactd::domain
