#include "domain/event_codec.hpp"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "domain/contact/decide.hpp"
#include "tests/domain/random_commands.hpp"

namespace contactd::domain {
namespace {

using namespace contactd::test;

std::vector<Event> samples() {
  return {
      created(ann, "ann@x.io"),
      ContactCreated{ann, {}},
      ContactUpdated{ann,
                     2,
                     {change(Field::first_name, "a\"\\\n\x01漢", ""),
                      change(Field::company, FieldValue::text("Acme"), FieldValue{}),
                      first_tags({"a\"b", "", "😀"})}},
      ContactUpdated{ann, (1ULL << 63U) - 1, {first(Field::website, "w")}},
      ContactDeleted{ann, 3},
      ApiKeyCreated{"k\"1", "ci\n", {Scope::none}, digest(0)},
      ApiKeyCreated{"k2", "名", {Scope::read}, digest(0xff)},
      ApiKeyCreated{"k3", "", {Scope::write}, digest(0x5a)},
      ApiKeyCreated{"k4", "n", {Scope::read}, digest(4), noon},
      ApiKeyCreated{"k5", "n", {Scope::read}, digest(5), noon, ReplacedKey{"k\"4", after(7)}},
      ApiKeyCreated{"k6", "n", {Scope::read}, digest(6), {}, ReplacedKey{"k5", noon}},
      ApiKeyCreated{"k7", "", {Scope::none, Scope::write}, digest(0x5a)},
      ApiKeyCreated{"k8", "", {Scope::read, Scope::read}, digest(1), noon, ReplacedKey{"k5", noon}},
      ApiKeyRevoked{"k1"},
      RequestAnswered{ann},
      RequestAnswered{Rejection{ContactNotFound{}}},
      RequestAnswered{Rejection{EmailTaken{bob}}},
      RequestAnswered{Rejection{VersionMismatch{7, {Field::email, Field::tags}}}},
      RequestAnswered{Rejection{VersionMismatch{0, {}}}},
      RequestAnswered{Rejection{ApiKeyNotFound{}}},
      RequestAnswered{Rejection{VersionNotFound{9}}},
      RequestAnswered{Rejection{WebhookNotFound{}}},
      RequestAnswered{Rejection{TooManyWebhooks{}}},
      WebhookCreated{"w\"1", {"https://x.io/?a=\"", "漢\n", {"a", "b\""}, true}, 0},
      WebhookCreated{"w1", {"https://x.io", "", {}, false}, ~0ULL},
      WebhookUpdated{"w1", {"https://x.io", "", {"a"}, false}},
      WebhookDisabled{"w1", "gone"},
      WebhookSecretRotated{"w1", 2, 0x123456789abcdef0},
      WebhookDeleted{"w1"},
      WebhookProgressed{"w1", 0, {}},
      WebhookProgressed{"w1", 1ULL << 40U, {1, 258}},
      WriterClaimed{"0123456789abcdef"},
      WriterClaimed{"0123456789abcdef", 1},
      WriterClaimed{"w", 4'294'967'295},
  };
}

std::string reason_of(std::string_view type, std::string_view data) {
  const auto decoded = decode_data(type, data);
  const auto* problem = std::get_if<Undecodable>(&decoded);
  return problem == nullptr ? "it was decoded" : problem->reason;
}

void expect_round_trip(const Event& event) {
  const std::string data = encode_data(event);
  const auto decoded = decode_data(type_of(event), data);
  ASSERT_TRUE(std::holds_alternative<Event>(decoded))
      << data << ": " << reason_of(type_of(event), data);
  EXPECT_EQ(std::get<Event>(decoded), event) << data;
  EXPECT_EQ(encode_data(std::get<Event>(decoded)), data);
}

TEST(EventCodec, ReadsBackWhatItWrites) {
  for (const Event& event : samples()) expect_round_trip(event);
}

TEST(EventCodec, ReadsBackWhateverIsDecided) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  RandomCommands commands{random};
  ContactState state = evolve({}, created(ann), noon);
  for (int i = 0; i < 1'000; ++i) {
    const auto decision = decide(UpdateContact{ann, commands.patch(), {}}, state, std::nullopt);
    const auto* event = std::get_if<Event>(&decision);
    if (event == nullptr) continue;
    ASSERT_NO_FATAL_FAILURE(expect_round_trip(*event));
    state = evolve(std::move(state), std::get<ContactUpdated>(*event), noon);
  }
}

TEST(EventCodec, NamesEveryChangeWithOldAndNewValue) {
  std::string out;
  append_changes(out, {first(Field::first_name, "Jane"),
                       change(Field::tags, FieldValue::list({"a"}), FieldValue::list({}))});
  EXPECT_EQ(out, R"({"first_name":{"old":null,"new":"Jane"},"tags":{"old":["a"],"new":[]}})");
}

void expect_unreadable(const std::vector<std::array<std::string, 2>>& rows) {
  for (const auto& [type, data] : rows) {
    const std::string reason = reason_of(type, data);
    EXPECT_NE(reason, "it was decoded") << type << ' ' << data;
    EXPECT_FALSE(reason.empty());
  }
}

TEST(EventCodec, SaysWhatItCannotRead) {
  const std::string id = R"("contact_id":"ann00000000000000000")";
  const std::vector<std::array<std::string, 2>> rows = {
      {"contactd.contact.updated.v2", "{" + id + R"(,"version":2,"changes":{}})"},
      {"", "{}"},
      {"contactd.contact.created", "{}"},
      {"contactd.contact.updated.v1", ""},
      {"contactd.contact.updated.v1", "[]"},
      {"contactd.contact.updated.v1", "{}"},
      {"contactd.contact.updated.v1", R"({"contact_id":"short","version":2,"changes":{}})"},
      {"contactd.contact.updated.v1", R"({"contact_id":7,"version":2,"changes":{}})"},
      {"contactd.contact.updated.v1", "{" + id + R"(,"changes":{}})"},
      {"contactd.contact.updated.v1", "{" + id + R"(,"version":-1,"changes":{}})"},
      {"contactd.contact.updated.v1", "{" + id + R"(,"version":"2","changes":{}})"},
      {"contactd.contact.updated.v1", "{" + id + R"(,"version":2})"},
      {"contactd.contact.updated.v1", "{" + id + R"(,"version":2,"changes":[]})"},
      {"contactd.contact.updated.v1",
       "{" + id + R"(,"version":2,"changes":{"nickname":{"old":null,"new":"x"}}})"},
      {"contactd.contact.updated.v1",
       "{" + id + R"(,"version":2,"changes":{"company":{"new":"x"}}})"},
      {"contactd.contact.updated.v1",
       "{" + id + R"(,"version":2,"changes":{"company":{"old":null}}})"},
      {"contactd.contact.updated.v1",
       "{" + id + R"(,"version":2,"changes":{"company":{"old":null,"new":7}}})"},
      {"contactd.contact.updated.v1",
       "{" + id + R"(,"version":2,"changes":{"company":{"old":null,"new":["x"]}}})"},
      {"contactd.contact.updated.v1",
       "{" + id + R"(,"version":2,"changes":{"tags":{"old":[],"new":"x"}}})"},
      {"contactd.contact.updated.v1",
       "{" + id + R"(,"version":2,"changes":{"tags":{"old":[],"new":[1]}}})"},
      {"contactd.contact.updated.v1",
       "{" + id + R"(,"version":2,"changes":{"tags":{"old":[],"new":null}}})"},
      {"contactd.contact.created.v1", "{" + id + "}"},
      {"contactd.contact.created.v1", "{" + id + R"(,"version":2,"changes":{}})"},
      {"contactd.contact.deleted.v1", "{" + id + "}"},
      {"contactd.api_key.created.v1",
       R"({"key_id":"k","name":"n","scopes":{"contacts":"all"},"secret_sha256":")" +
           std::string(64, '0') + "\"}"},
      {"contactd.api_key.created.v1",
       R"({"key_id":"k","name":"n","scopes":{"contacts":"read"},"secret_sha256":"00"})"},
      {"contactd.api_key.revoked.v1", "{}"},
      {"contactd.request.answered.v1", "{}"},
      {"contactd.request.answered.v1", R"({"unchanged":"x"})"},
      {"contactd.request.answered.v1", R"({"rejected":{"reason":"mood"}})"},
      {"contactd.request.answered.v1", R"({"rejected":{"reason":"email_taken"}})"},
      {"contactd.request.answered.v1",
       R"({"rejected":{"reason":"version_mismatch","current":1,"changed":["x"]}})"},
      {"contactd.request.answered.v1", R"({"rejected":{"reason":"version_mismatch","current":1}})"},
      {"contactd.request.answered.v1",
       R"({"rejected":{"reason":"version_mismatch","current":1,"changed":[7]}})"},
      {"contactd.writer.claimed.v1", "{}"},
      {"contactd.writer.claimed.v2", R"({"writer":"w"})"},
      {"contactd.writer.claimed.v2", R"({"partitions":1})"},
      {"contactd.writer.claimed.v2", R"({"writer":"w","partitions":0})"},
      {"contactd.writer.claimed.v2", R"({"writer":"w","partitions":"1"})"},
      {"contactd.writer.claimed.v2", R"({"writer":"w","partitions":4294967296})"},
      {"contactd.writer.claimed.v3", R"({"writer":"w","partitions":1})"},
  };
  expect_unreadable(rows);
}

TEST(EventCodec, SaysWhatItCannotReadOfWebhooks) {
  expect_unreadable({
      {"contactd.api_key.created.v3",
       R"({"key_id":"k","name":"n","scopes":{"contacts":"read"},"secret_sha256":")" +
           std::string(64, '0') + "\"}"},
      {"contactd.api_key.created.v3",
       R"({"key_id":"k","name":"n","scopes":{"contacts":"read","webhooks":"none"},)"
       R"("secret_sha256":")" +
           std::string(64, '0') + "\"}"},
      {"contactd.webhook.created.v1", "{}"},
      {"contactd.webhook.created.v1",
       R"({"webhook_id":"w","url":"u","description":"","types":[],"enabled":true})"},
      {"contactd.webhook.created.v1",
       R"({"webhook_id":"w","url":"u","description":"","types":[],"enabled":true,"master":"7"})"},
      {"contactd.webhook.created.v1",
       R"({"webhook_id":"w","url":"u","description":"","types":[7],"enabled":true,)"
       R"("master":"0000000000000000"})"},
      {"contactd.webhook.updated.v1",
       R"({"webhook_id":"w","url":"u","description":"","types":[],"enabled":1})"},
      {"contactd.webhook.disabled.v1", R"({"webhook_id":"w"})"},
      {"contactd.webhook.secret_rotated.v1",
       R"({"webhook_id":"w","generation":0,"master":"0000000000000000"})"},
      {"contactd.webhook.deleted.v1", R"({"webhook_id":7})"},
      {"contactd.webhook.progressed.v1", R"({"webhook_id":"w","next_offset":-1,"pending":[]})"},
      {"contactd.webhook.progressed.v1", R"({"webhook_id":"w","next_offset":1,"pending":[-1]})"},
      {"contactd.webhook.progressed.v2", R"({"webhook_id":"w","next_offset":1,"pending":[]})"},
  });
}

TEST(EventCodec, SaysWhatItCannotReadOfAKey) {
  const std::string key_data = R"({"key_id":"k","name":"n","scopes":{"contacts":"read"},)"
                               R"("secret_sha256":")" +
                               std::string(64, '0') + '"';
  const std::vector<std::array<std::string, 2>> rows = {
      {"contactd.api_key.created.v2", key_data + "}"},
      {"contactd.api_key.created.v2", key_data + R"(,"expires_at":null,"replaces":null})"},
      {"contactd.api_key.created.v2", key_data + R"(,"expires_at":"2025-07-15","replaces":null})"},
      {"contactd.api_key.created.v2", key_data + R"(,"expires_at":1,"replaces":null})"},
      {"contactd.api_key.created.v2", key_data + R"(,"expires_at":null,"replaces":"k1"})"},
      {"contactd.api_key.created.v2",
       key_data + R"(,"expires_at":null,"replaces":{"key_id":"k"}})"},
      {"contactd.api_key.created.v2", key_data + R"(,"expires_at":"2025-07-15T10:30:00.000Z"})"},
  };
  for (const auto& [type, data] : rows) {
    EXPECT_NE(reason_of(type, data), "it was decoded") << type << ' ' << data;
  }
}

// What is read along the text that contactd writes, and what is read by the JSON parser, is the
// same.
TEST(EventCodec, RefusesNumbersAndTextThatAreNotJson) {
  const std::string id = R"("contact_id":"ann00000000000000000")";
  const auto reason = [&](const std::string& rest) {
    return reason_of("contactd.contact.updated.v1", "{" + id + rest);
  };
  for (const char* version :
       {"02", "00", "-1", "+1", "9223372036854775808", "18446744073709551615", "1.0", "1e2", ""}) {
    const std::string number = R"(,"version":)" + std::string{version};
    EXPECT_NE(reason(number + R"(,"changes":{}})"), "it was decoded") << version;
  }
  for (const char* text : {"\xc3(", "\xff", "\x01", "a\\", "\\ud800", "\xed\xa0\x80"}) {
    const std::string company = R"(,"version":2,"changes":{"company":{"old":null,"new":")";
    EXPECT_NE(reason(company + text + R"("}}})"), "it was decoded") << text;
  }
  for (const char* version : {"0", "10", "9223372036854775807"}) {
    const std::string number = R"(,"version":)" + std::string{version};
    EXPECT_EQ(reason(number + R"(,"changes":{}})"), "it was decoded") << version;
  }
}

TEST(EventCodec, KeepsContactDataOutOfItsReasons) {
  const std::string secret = "jane@secret.example";
  const std::string reason =
      reason_of("contactd.contact.updated.v1",
                R"({"contact_id":"ann00000000000000000","version":2,"changes":{"tags":)"
                R"({"old":[],"new":")" +
                    secret + R"("}}})");
  EXPECT_EQ(reason.find(secret), std::string::npos) << reason;
}

TEST(EventCodec, SurvivesDamage) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  for (const Event& event : samples()) {
    const std::string whole = encode_data(event);
    for (std::size_t cut = 0; cut < whole.size(); ++cut) {
      EXPECT_NE(reason_of(type_of(event), whole.substr(0, cut)), "it was decoded");
    }
    for (int i = 0; i < 300; ++i) {
      std::string data = whole;
      data[random.below(data.size())] = static_cast<char>(random.below(256));
      const auto decoded = decode_data(type_of(event), data);
      if (const auto* read = std::get_if<Event>(&decoded)) expect_round_trip(*read);
    }
  }
}

TEST(EventCodec, ReadsBackRejections) {
  for (const Rejection& rejection : {Rejection{ContactNotFound{}}, Rejection{EmailTaken{bob}},
                                     Rejection{VersionMismatch{4, {Field::tags}}},
                                     Rejection{ApiKeyNotFound{}}, Rejection{VersionNotFound{9}}}) {
    std::string json;
    append_rejection(json, rejection);
    EXPECT_EQ(read_rejection(boost::json::parse(json)), rejection) << json;
  }
  for (const char* json : {"null", "{}", "[]", R"({"reason":1})", R"({"reason":"x"})"}) {
    EXPECT_EQ(read_rejection(boost::json::parse(json)), std::nullopt) << json;
  }
}

}  // namespace
}  // namespace contactd::domain
