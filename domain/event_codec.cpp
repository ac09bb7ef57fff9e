#include "domain/event_codec.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <charconv>
#include <limits>
#include <stdexcept>

#include "domain/json_text.hpp"
#include "domain/organization/webhook_codec.hpp"
#include "domain/stored_types.hpp"

namespace contactd::domain {
namespace {

namespace json = boost::json;

constexpr std::string_view contact_created = "contactd.contact.created.v1";
constexpr std::string_view contact_updated = "contactd.contact.updated.v1";
constexpr std::string_view contact_deleted = "contactd.contact.deleted.v1";
constexpr std::string_view api_key_created_v1 = "contactd.api_key.created.v1";
// With an end, or the key that it takes the place of.
constexpr std::string_view api_key_created_v2 = "contactd.api_key.created.v2";
// With a scope for webhooks.
constexpr std::string_view api_key_created_v3 = "contactd.api_key.created.v3";
constexpr std::string_view api_key_revoked = "contactd.api_key.revoked.v1";
constexpr std::string_view request_answered = "contactd.request.answered.v1";
constexpr std::string_view writer_claimed_v1 = "contactd.writer.claimed.v1";
constexpr std::string_view writer_claimed_v2 = "contactd.writer.claimed.v2";  // with `partitions`

// Every version of every type; stored_types.hpp has the rules.
constexpr std::array all_types = {
    StoredType{contact_created},
    StoredType{contact_updated},
    StoredType{contact_deleted},
    StoredType{api_key_created_v1,
               [](json::object& data) {
                 data["expires_at"] = nullptr;
                 data["replaces"] = nullptr;
               }},
    StoredType{api_key_created_v2,
               [](json::object& data) {
                 auto* scopes = data.if_contains("scopes");
                 if (scopes != nullptr && scopes->is_object()) {
                   scopes->get_object()["webhooks"] = nullptr;
                 }
               }},
    StoredType{api_key_created_v3},
    StoredType{api_key_revoked},
    StoredType{request_answered},
    StoredType{writer_claimed_v1, [](json::object& data) { data["partitions"] = nullptr; }},
    StoredType{writer_claimed_v2},
    StoredType{webhook_created},
    StoredType{webhook_updated},
    StoredType{webhook_disabled},
    StoredType{webhook_secret_rotated},
    StoredType{webhook_deleted},
    StoredType{webhook_progressed},
};
static_assert(gap_in(all_types).empty(), "a version of a stored type has no way to the next");

constexpr auto all_names = [] {
  std::array<std::string_view, all_types.size()> names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = all_types[i].name;
  return names;
}();

// What a JSON number of a version may be.
constexpr auto version_max = static_cast<Version>(std::numeric_limits<std::int64_t>::max());

struct Unreadable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Readers: each takes what must be there, or says what is wrong.
std::string_view text_at(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  const auto* text = value == nullptr ? nullptr : value->if_string();
  if (text == nullptr) throw Unreadable("member '" + std::string{name} + "' is no string");
  return {text->data(), text->size()};
}

std::uint64_t number_at(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (value != nullptr && value->is_int64() && value->as_int64() >= 0) {
    return static_cast<std::uint64_t>(value->as_int64());
  }
  throw Unreadable("member '" + std::string{name} + "' is no whole number");
}

// Version 1 didn't say; that of version 2 always does.
std::uint32_t partitions_at(const json::object& object, bool upcast) {
  if (upcast && object.at("partitions").is_null()) return 0;
  const std::uint64_t count = number_at(object, "partitions");
  if (count == 0 || count > std::numeric_limits<std::uint32_t>::max()) {
    throw Unreadable("member 'partitions' is no number of partitions");
  }
  return static_cast<std::uint32_t>(count);
}

// To the millisecond, in the one form in which times are written.
Instant time_at(const json::object& object, std::string_view name) {
  const std::string_view text = text_at(object, name);
  const auto time = parse_iso8601(text);
  if (!time || to_iso8601(*time) != text) {
    throw Unreadable("member '" + std::string{name} + "' is no time");
  }
  return *time;
}

ContactId contact_at(const json::object& object, std::string_view name = "contact_id") {
  const auto id = ContactId::parse(text_at(object, name));
  if (!id) throw Unreadable("member '" + std::string{name} + "' is no contact id");
  return *id;
}

FieldValue value_from(Field field, const json::value& value) {
  const FieldKind kind = spec_of(field).kind;
  if (value.is_null() && kind != FieldKind::tags) return FieldValue{};
  if (const auto* text = value.if_string(); text != nullptr && kind != FieldKind::tags) {
    return FieldValue::text({text->data(), text->size()});
  }
  if (const auto* array = value.if_array(); array != nullptr && kind == FieldKind::tags) {
    std::vector<std::string> items;
    items.reserve(array->size());
    for (const json::value& item : *array) {
      if (!item.is_string()) throw Unreadable("a tag is no string");
      items.emplace_back(item.get_string().data(), item.get_string().size());
    }
    return FieldValue::list(items);
  }
  throw Unreadable("field '" + std::string{name_of(field)} + "' has a value of another type");
}

std::vector<FieldChange> changes_at(const json::object& object) {
  const auto* value = object.if_contains("changes");
  const auto* changes = value == nullptr ? nullptr : value->if_object();
  if (changes == nullptr) throw Unreadable("member 'changes' is no object");
  std::vector<FieldChange> out;
  out.reserve(changes->size());
  for (const auto& member : *changes) {
    const auto field = field_named({member.key().data(), member.key().size()});
    const auto* change = member.value().if_object();
    if (!field || change == nullptr) throw Unreadable("member 'changes' has an unknown field");
    const auto* before = change->if_contains("old");
    const auto* after = change->if_contains("new");
    if (before == nullptr || after == nullptr) throw Unreadable("a change lacks old or new");
    out.push_back({*field, value_from(*field, *before), value_from(*field, *after)});
  }
  return out;
}

Scope scope_at(const json::object& object, std::string_view name) {
  const auto scope = scope_named(text_at(object, name));
  if (!scope) throw Unreadable("member '" + std::string{name} + "' is no scope");
  return *scope;
}

// Writers.
void append_contact(std::string& out, const ContactId& id, Version version) {
  out += R"({"contact_id":")";
  out += id.view();
  out += R"(","version":)";
  out += std::to_string(version);
}

struct Encoder {
  std::string out;

  void contact(const ContactId& id, Version version) { append_contact(out, id, version); }
  void operator()(const ContactCreated& event) {
    contact(event.contact, 1);
    out += R"(,"changes":)";
    append_changes(out, event.changes);
    out += '}';
  }
  void operator()(const ContactUpdated& event) {
    contact(event.contact, event.version);
    out += R"(,"changes":)";
    append_changes(out, event.changes);
    out += '}';
  }
  void operator()(const ContactDeleted& event) {
    contact(event.contact, event.version);
    out += '}';
  }
  void operator()(const ApiKeyCreated& event) {
    out += R"({"key_id":)" + json_string(event.key) + R"(,"name":)" + json_string(event.name) +
           R"(,"scopes":{"contacts":")" + std::string{name_of(event.scopes.contacts)} + '"';
    const bool with_webhooks = event.scopes.webhooks != Scope::none;
    if (with_webhooks) {
      out += R"(,"webhooks":")" + std::string{name_of(event.scopes.webhooks)} + '"';
    }
    out += R"(},"secret_sha256":")" + to_hex(event.secret_hash) + '"';
    if (with_webhooks || event.expires_at || event.replaces) {
      out += R"(,"expires_at":)" + json_time(event.expires_at) + R"(,"replaces":)";
      out += event.replaces ? R"({"key_id":)" + json_string(event.replaces->key) +
                                  R"(,"ends_at":)" + json_time(event.replaces->ends_at) + '}'
                            : "null";
    }
    out += '}';
  }
  void operator()(const ApiKeyRevoked& event) {
    out += R"({"key_id":)" + json_string(event.key) + '}';
  }
  void operator()(const RequestAnswered& event) {
    if (const auto* unchanged = std::get_if<ContactId>(&event.answer)) {
      out += R"({"unchanged":")" + unchanged->str() + R"("})";
    } else {
      out += R"({"rejected":)";
      append_rejection(out, std::get<Rejection>(event.answer));
      out += '}';
    }
  }
  void operator()(const WriterClaimed& event) {
    out += R"({"writer":)" + json_string(event.writer);
    if (event.partitions > 0) out += R"(,"partitions":)" + std::to_string(event.partitions);
    out += '}';
  }
  template <class WebhookEvent>
  void operator()(const WebhookEvent& event) {
    append_data(out, event);
  }
};

RequestAnswered answered_from(const json::object& object) {
  if (object.contains("unchanged")) return {contact_at(object, "unchanged")};
  const auto* rejected = object.if_contains("rejected");
  auto rejection = rejected == nullptr ? std::nullopt : read_rejection(*rejected);
  if (!rejection) throw Unreadable("it is neither 'unchanged' nor 'rejected'");
  return {*std::move(rejection)};
}

ApiKeyCreated key_created_from(const json::object& object) {
  const auto* scopes = object.if_contains("scopes");
  const auto hash = digest_from_hex(text_at(object, "secret_sha256"));
  if (scopes == nullptr || !scopes->is_object() || !hash) {
    throw Unreadable("member 'scopes' or 'secret_sha256' is wrong");
  }
  const json::object& each = scopes->get_object();
  ApiKeyCreated event{std::string{text_at(object, "key_id")}, std::string{text_at(object, "name")},
                      Scopes{scope_at(each, "contacts")}, *hash};
  if (!each.at("webhooks").is_null()) event.scopes.webhooks = scope_at(each, "webhooks");
  if (!object.at("expires_at").is_null()) event.expires_at = time_at(object, "expires_at");
  if (const json::value& replaces = object.at("replaces"); !replaces.is_null()) {
    const json::object& replaced = replaces.as_object();
    event.replaces = {std::string{text_at(replaced, "key_id")}, time_at(replaced, "ends_at")};
  }
  return event;
}

// The event that data of the newest version of a type says; `upcast` if an older one was stored.
Event event_from(std::string_view type, const json::object& data, bool upcast) {
  if (type == contact_updated) {
    return ContactUpdated{contact_at(data), number_at(data, "version"), changes_at(data)};
  }
  if (type == contact_created) {
    if (number_at(data, "version") != 1) throw Unreadable("a contact is created in version 1");
    return ContactCreated{contact_at(data), changes_at(data)};
  }
  if (type == contact_deleted) return ContactDeleted{contact_at(data), number_at(data, "version")};
  if (type == api_key_created_v3) return key_created_from(data);
  if (type == api_key_revoked) return ApiKeyRevoked{std::string{text_at(data, "key_id")}};
  if (type == request_answered) return answered_from(data);
  if (type == writer_claimed_v2) {
    return WriterClaimed{std::string{text_at(data, "writer")}, partitions_at(data, upcast)};
  }
  if (auto event = read_webhook_event(type, data)) return *std::move(event);
  throw Unreadable("this release knows no such type; start one that does");
}

// Brings the data of a stored version up to the newest one, and reads it.
Event event_from_stored(std::string_view type, json::object& data) {
  const auto* stored = std::find_if(all_types.begin(), all_types.end(),
                                    [&](const StoredType& one) { return one.name == type; });
  if (stored == all_types.end()) return event_from(type, data, false);
  const auto* newest = stored;
  for (; newest->to_next != nullptr; ++newest) newest->to_next(data);
  Event event = event_from(newest->name, data, newest != stored);
  if (type_of(event) != type) throw Unreadable("its data is that of another version");
  return event;
}

// The data of a created or updated contact, read along the text that encode_data() writes, without
// building a JSON document: several times as fast. Gives up on anything else, which the slow path
// then reads or refuses.
class PlainReader {
  static constexpr std::size_t usual_changes = 4;

 public:
  explicit PlainReader(std::string_view text) : rest_(text) {}

  // Without escapes, any JSON string is canonical; in UTF-8, which it must be.
  static bool is_plain(std::string_view text) {
    return text.find('\\') == std::string_view::npos && is_utf8_without_controls(text);
  }

  std::optional<ContactUpdated> read() {
    ContactUpdated event;
    if (!take(R"({"contact_id":")") || rest_.size() < ContactId::length) return std::nullopt;
    const auto id = ContactId::parse(rest_.substr(0, ContactId::length));
    rest_.remove_prefix(ContactId::length);
    if (!id || !take(R"(","version":)") || !take_number(event.version)) return std::nullopt;
    event.contact = *id;
    if (!take(R"(,"changes":{)")) return std::nullopt;
    event.changes.reserve(usual_changes);
    while (!take("}")) {
      if (!event.changes.empty() && !take(",")) return std::nullopt;
      if (!take_change(event.changes)) return std::nullopt;
    }
    if (!take("}") || !rest_.empty()) return std::nullopt;
    return event;
  }

 private:
  bool take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  // As JSON writes it, and no larger than what the slow path reads.
  bool take_number(Version& number) {
    if (rest_.size() > 1 && rest_[0] == '0' && rest_[1] >= '0' && rest_[1] <= '9') return false;
    const auto [end, ec] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), number);
    if (ec != std::errc{} || number > version_max) return false;
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return true;
  }
  bool take_change(std::vector<FieldChange>& changes) {
    if (!take("\"")) return false;
    const std::size_t quote = rest_.find('"');
    if (quote == std::string_view::npos) return false;
    const auto field = field_named(rest_.substr(0, quote));
    rest_.remove_prefix(quote);
    // In the order of the table, as they are written: none comes twice.
    if (!field || (!changes.empty() && *field <= changes.back().field)) return false;
    FieldChange change{*field, {}, {}};
    if (!take(R"(":{"old":)") || !take_value(*field, change.before)) return false;
    if (!take(R"(,"new":)") || !take_value(*field, change.after) || !take("}")) return false;
    changes.push_back(std::move(change));
    return true;
  }
  bool take_value(Field field, FieldValue& value) {
    const auto length = canonical_value_length(rest_);
    const bool list = rest_.starts_with('[');
    if (!length || list != (spec_of(field).kind == FieldKind::tags)) return false;
    value = FieldValue::from_canonical(rest_.substr(0, *length));
    rest_.remove_prefix(*length);
    return true;
  }

  std::string_view rest_;
};

std::optional<Event> read_plain(std::string_view type, std::string_view data) {
  const bool created = type == contact_created;
  if ((!created && type != contact_updated) || !PlainReader::is_plain(data)) return std::nullopt;
  auto event = PlainReader{data}.read();
  if (!event || (created && event->version != 1)) return std::nullopt;
  if (created) return ContactCreated{event->contact, std::move(event->changes)};
  return *std::move(event);
}

struct TypeName {
  std::string_view operator()(const ContactCreated&) const { return contact_created; }
  std::string_view operator()(const ContactUpdated&) const { return contact_updated; }
  std::string_view operator()(const ContactDeleted&) const { return contact_deleted; }
  std::string_view operator()(const ApiKeyCreated& event) const {
    if (event.scopes.webhooks != Scope::none) return api_key_created_v3;
    return event.expires_at || event.replaces ? api_key_created_v2 : api_key_created_v1;
  }
  std::string_view operator()(const ApiKeyRevoked&) const { return api_key_revoked; }
  std::string_view operator()(const RequestAnswered&) const { return request_answered; }
  std::string_view operator()(const WriterClaimed& event) const {
    return event.partitions == 0 ? writer_claimed_v1 : writer_claimed_v2;
  }
  std::string_view operator()(const WebhookCreated&) const { return webhook_created; }
  std::string_view operator()(const WebhookUpdated&) const { return webhook_updated; }
  std::string_view operator()(const WebhookDisabled&) const { return webhook_disabled; }
  std::string_view operator()(const WebhookSecretRotated&) const { return webhook_secret_rotated; }
  std::string_view operator()(const WebhookDeleted&) const { return webhook_deleted; }
  std::string_view operator()(const WebhookProgressed&) const { return webhook_progressed; }
};

struct RejectionEncoder {
  std::string& out;

  void operator()(const ContactNotFound&) const { out += R"({"reason":"contact_not_found"})"; }
  void operator()(const EmailTaken& taken) const {
    out += R"({"reason":"email_taken","holder":")" + taken.holder.str() + R"("})";
  }
  void operator()(const VersionMismatch& mismatch) const {
    out += R"({"reason":"version_mismatch","current":)" + std::to_string(mismatch.current) +
           R"(,"changed":[)";
    for (std::size_t i = 0; i < mismatch.changed.size(); ++i) {
      out += (i == 0 ? "\"" : ",\"") + std::string{name_of(mismatch.changed[i])} + '"';
    }
    out += "]}";
  }
  void operator()(const ApiKeyNotFound&) const { out += R"({"reason":"api_key_not_found"})"; }
  void operator()(const VersionNotFound& missing) const {
    out += R"({"reason":"version_not_found","asked":)" + std::to_string(missing.asked) + '}';
  }
  void operator()(const WebhookNotFound&) const { out += R"({"reason":"webhook_not_found"})"; }
  void operator()(const TooManyWebhooks&) const { out += R"({"reason":"too_many_webhooks"})"; }
};

Rejection rejection_from(const json::object& object) {
  const std::string_view reason = text_at(object, "reason");
  if (reason == "contact_not_found") return ContactNotFound{};
  if (reason == "email_taken") return EmailTaken{contact_at(object, "holder")};
  if (reason == "api_key_not_found") return ApiKeyNotFound{};
  if (reason == "version_not_found") return VersionNotFound{number_at(object, "asked")};
  if (reason == "webhook_not_found") return WebhookNotFound{};
  if (reason == "too_many_webhooks") return TooManyWebhooks{};
  if (reason != "version_mismatch") throw Unreadable("an unknown rejection");
  VersionMismatch mismatch{number_at(object, "current"), {}};
  for (const json::value& item : object.at("changed").as_array()) {
    const json::string& name = item.as_string();
    const auto field = field_named({name.data(), name.size()});
    if (!field) throw Unreadable("an unknown field");
    mismatch.changed.push_back(*field);
  }
  return mismatch;
}

}  // namespace

std::string_view type_of(const Event& event) { return std::visit(TypeName{}, event); }

std::span<const std::string_view> stored_types() { return all_names; }

std::string encode_data(const Event& event) {
  Encoder encoder;
  encoder.out.reserve(512);
  std::visit(encoder, event);
  return std::move(encoder.out);
}

std::variant<Event, Undecodable> decode_data(std::string_view type, std::string_view data) {
  if (auto event = read_plain(type, data)) return *std::move(event);
  unsigned char memory[4096];
  json::monotonic_resource arena{memory};
  json::error_code ec;
  json::value value = json::parse(json::string_view{data.data(), data.size()}, ec, &arena);
  if (ec || !value.is_object()) return Undecodable{"its data is no JSON object"};
  try {
    return event_from_stored(type, value.get_object());
  } catch (const std::exception& problem) {
    return Undecodable{problem.what()};
  }
}

void append_contact_data(std::string& out, const ContactId& contact, Version version,
                         std::string_view changes) {
  append_contact(out, contact, version);
  if (!changes.empty()) out.append(R"(,"changes":)").append(changes);
  out += '}';
}

void append_changes(std::string& out, const std::vector<FieldChange>& changes) {
  out += '{';
  for (std::size_t i = 0; i < changes.size(); ++i) {
    if (i > 0) out += ',';
    out += '"';
    out += name_of(changes[i].field);
    out += R"(":{"old":)";
    out += changes[i].before.json();
    out += R"(,"new":)";
    out += changes[i].after.json();
    out += '}';
  }
  out += '}';
}

void append_rejection(std::string& out, const Rejection& rejection) {
  std::visit(RejectionEncoder{out}, rejection);
}

std::optional<Rejection> read_rejection(const json::value& value) {
  try {
    return rejection_from(value.as_object());
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace contactd::domain
