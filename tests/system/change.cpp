#include "tests/system/change.hpp"

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_to.hpp>
#include <charconv>
#include <string_view>

namespace contactd::test {
namespace {

namespace json = boost::json;

constexpr std::string_view data_prefix = R"({"data":)";
constexpr std::array fields = {"first_name", "last_name", "email",      "phone_number", "status",
                               "job_title",  "company",   "university", "gender",       "birthday",
                               "location",   "linkedin",  "instagram",  "twitter",      "github",
                               "website",    "tags"};

// The text of a JSON string member; empty if there is none.
std::string text_of(const json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? json::value_to<std::string>(*value) : "";
}

json::object object_of(const std::string& text) {
  boost::system::error_code ec;
  json::value value = json::parse(text, ec);
  return value.is_object() ? std::move(value.get_object()) : json::object{};
}

json::value unset_value(std::string_view field) {
  if (field == "tags") return json::array{};
  if (field == "status") return "active";
  return nullptr;
}

// What differs between `after` and what `sets` makes of `before` (null: of nothing).
std::optional<std::string> difference(const json::object* before, const json::object& sets,
                                      const json::object& after) {
  for (const char* field : fields) {
    const auto* set = sets.if_contains(field);
    const auto* kept = before == nullptr ? nullptr : before->if_contains(field);
    const json::value expected =
        set != nullptr ? *set : (kept != nullptr ? *kept : unset_value(field));
    const auto* actual = after.if_contains(field);
    if (actual == nullptr || *actual != expected) {
      return std::string{field} + " should be " + json::serialize(expected);
    }
  }
  if (before == nullptr) return std::nullopt;
  if (text_of(*before, "id") != text_of(after, "id")) return "it is another contact";
  if (text_of(*before, "created_at") != text_of(after, "created_at")) return "created_at differs";
  // Both are in one form of one length, which sorts as the times do.
  if (text_of(after, "updated_at") < text_of(*before, "updated_at")) return "updated_at went back";
  return std::nullopt;
}

std::string wrong(const Change& change, const std::string& what, const std::string& got) {
  return change.method() + ' ' + change.target() + " (" + change.request_id + "): " + what +
         "; got " + got;
}

std::string shown(const Response& response) {
  return std::to_string(response.status) + ' ' + response.header("ETag").value_or("") + ' ' +
         response.body;
}

}  // namespace

std::string Change::method() const {
  switch (kind) {
    case Kind::create:
      return "POST";
    case Kind::update:
    case Kind::repeat:
      return "PATCH";
    case Kind::remove:
      return "DELETE";
  }
  std::abort();
}

std::string Change::target() const {
  return "/api/v1/contacts" + (contact.empty() ? "" : '/' + contact);
}

Headers Change::headers() const {
  Headers headers = {{"X-Request-Id", request_id}};
  if (idempotency_key) headers.emplace_back("Idempotency-Key", *idempotency_key);
  if (if_match) headers.emplace_back("If-Match", *if_match);
  return headers;
}

std::optional<std::string> Change::body() const {
  if (kind == Kind::remove) return std::nullopt;
  return json::serialize(sets);
}

std::optional<Held> held_in(const Response& response) {
  const std::string etag = response.header("ETag").value_or("");
  if (etag.size() < 3 || !response.body.starts_with(data_prefix) || !response.body.ends_with('}')) {
    return std::nullopt;
  }
  Held held;
  const auto [end, ec] = std::from_chars(etag.data() + 1, etag.data() + etag.size(), held.version);
  if (ec != std::errc{} || *end != '"') return std::nullopt;
  held.json =
      response.body.substr(data_prefix.size(), response.body.size() - data_prefix.size() - 1);
  return held;
}

std::optional<std::string> Ledger::learn(const Change& change, const Response& response) {
  switch (change.kind) {
    case Change::Kind::create:
      return learn_created(change, response);
    case Change::Kind::update:
      if (response.status == 409) return learn_refused(change, response);
      return learn_updated(change, response);
    case Change::Kind::repeat: {
      const auto after = held_in(response);
      const Held& before = held_.at(change.contact);
      if (response.status != 200 || !after || after->json != before.json ||
          after->version != before.version) {
        return wrong(change, "should have changed nothing of " + before.json, shown(response));
      }
      note_nothing_changed(change);
      return std::nullopt;
    }
    case Change::Kind::remove:
      return learn_removed(change, response);
  }
  std::abort();
}

std::optional<std::string> Ledger::learn_created(const Change& change, const Response& response) {
  const auto created = held_in(response);
  if (response.status != 201 || !created || created->version != 1) {
    return wrong(change, "should be a 201 of version 1", shown(response));
  }
  Change found = change;
  found.contact = text_of(object_of(created->json), "id");
  return settle(found, created);
}

std::optional<std::string> Ledger::learn_updated(const Change& change, const Response& response) {
  const auto after = held_in(response);
  if (response.status != 200 || !after) {
    return wrong(change, "should be a 200", shown(response));
  }
  return note_update(change, *after);
}

std::optional<std::string> Ledger::learn_refused(const Change& change, const Response& response) {
  const std::string holder = text_of(object_of(response.body), "contact_id");
  if (!change.sets.contains("email") || holder.empty() || holder == change.contact) {
    return wrong(change, "is no conflict", shown(response));
  }
  note_nothing_changed(change);
  return std::nullopt;
}

std::optional<std::string> Ledger::learn_removed(const Change& change, const Response& response) {
  const json::object body = object_of(response.body);
  if (response.status != 200 || text_of(body, "id") != change.contact) {
    return wrong(change, "should be gone", shown(response));
  }
  note_removal(change);
  return std::nullopt;
}

std::optional<std::string> Ledger::settle(const Change& change, const std::optional<Held>& found) {
  if (change.kind == Change::Kind::create) {
    if (!found) return std::nullopt;
    if (const auto problem = difference(nullptr, change.sets, object_of(found->json))) {
      return wrong(change, *problem, found->json);
    }
    if (found->version != 1) return wrong(change, "should have version 1", found->json);
    held_[change.contact] = *found;
    logged_[change.request_id] = {change.contact, 1};
    return std::nullopt;
  }
  const Held& before = held_.at(change.contact);
  if (!found) {
    if (change.kind != Change::Kind::remove) {
      return wrong(change, "the contact is lost: " + before.json, "nothing");
    }
    note_removal(change);
    return std::nullopt;
  }
  if (found->version == before.version && found->json == before.json) return std::nullopt;
  return note_update(change, *found);
}

std::optional<std::string> Ledger::note_update(const Change& change, const Held& after) {
  Held& before = held_.at(change.contact);
  const json::object old = object_of(before.json);
  if (change.kind != Change::Kind::update || after.version != before.version + 1) {
    return wrong(
        change,
        "should be one change on version " + std::to_string(before.version) + ' ' + before.json,
        "version " + std::to_string(after.version) + ' ' + after.json);
  }
  if (const auto problem = difference(&old, change.sets, object_of(after.json))) {
    return wrong(change, *problem, after.json);
  }
  before = after;
  logged_[change.request_id] = {change.contact, after.version};
  return std::nullopt;
}

void Ledger::note_removal(const Change& change) {
  logged_[change.request_id] = {change.contact, held_.at(change.contact).version + 1};
  held_.erase(change.contact);
  deleted_.push_back(change.contact);
}

void Ledger::note_nothing_changed(const Change& change) {
  if (change.idempotency_key) {
    logged_[change.request_id] = {change.contact, 0};
  } else {
    not_logged_.insert(change.request_id);
  }
}

}  // namespace contactd::test
