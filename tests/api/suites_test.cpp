#include "tests/support/suites.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <boost/url/encode.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <map>
#include <vector>

#include "tests/support/api_fixture.hpp"

// Test material of other projects, sent as the bodies of real requests.
namespace contactd::test {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

class Suites : public ApiTest {};

std::vector<fs::path> files_in(const fs::path& directory) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator{directory}) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::size_t characters_in(std::string_view utf8) {
  return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

TEST_F(Suites, JsonParsing) {
  const fs::path suite = find_suite("json/test_parsing");
  CONTACTD_NEEDS_SUITE(suite);
  const Contact ann = user.given_contact(R"({"first_name": "Ann"})");
  std::size_t sent = 0;
  for (const fs::path& file : files_in(suite)) {
    ++sent;
    const std::string name = file.filename().string();
    SCOPED_TRACE(name);
    const Answer answer = user.patch(ann.id, read_whole_file(file));
    if (name.starts_with("n_")) {
      EXPECT_TRUE(answer.status() == 400 || answer.status() == 413) << answer.status();
      user.read(ann.id).then(200).with_header("ETag", ann.etag);
    } else {
      EXPECT_TRUE(answer.status() / 100 == 2 || answer.status() / 100 == 4) << answer.status();
    }
  }
  EXPECT_GT(sent, 300U);
}

TEST_F(Suites, JsonTransform) {
  const fs::path suite = find_suite("json/test_transform");
  CONTACTD_NEEDS_SUITE(suite);
  const Contact ann = user.given_contact();
  for (const fs::path& file : files_in(suite)) {
    const std::string name = file.filename().string();
    SCOPED_TRACE(name);
    const Answer answer = user.patch(ann.id, read_whole_file(file));
    EXPECT_TRUE(answer.status() / 100 == 2 || answer.status() / 100 == 4) << answer.status();
    if (name.starts_with("object_same_key")) answer.then(400);
  }
}

TEST_F(Suites, NaughtyStringsReadBackToTheByte) {
  const fs::path suite = find_suite("naughty_strings/strings.json");
  CONTACTD_NEEDS_SUITE(suite);
  const Contact ann = user.given_contact();
  const json::value strings = json::parse(read_whole_file(suite));
  for (const json::value& string : strings.as_array()) {
    const std::string text = json::value_to<std::string>(string);
    const Answer answer = user.patch(ann.id, json::serialize(json::object{{"first_name", string}}));
    if (characters_in(text) > 1000 || text.find('\0') != std::string::npos) {
      answer.then(400);
      continue;
    }
    answer.then(200).with_field("first_name", string);
    user.read(ann.id).with_field("first_name", string);
    EXPECT_EQ(user.list().json().at("data").at(0).at("first_name"), string);
    const json::value history =
        user.send("GET", contact_path(ann.id) + "/history?limit=1").then(200).json();
    const json::value& changes = history.at("data").at(0).at("changes");
    // One that is what the name was already is no event.
    if (const json::value* name = changes.as_object().if_contains("first_name")) {
      EXPECT_EQ(name->at("new"), string);
    }
  }
}

TEST_F(Suites, NaughtyStringsAreFoundAsTags) {
  const fs::path suite = find_suite("naughty_strings/strings.json");
  CONTACTD_NEEDS_SUITE(suite);
  const Contact ann = user.given_contact();
  const json::value strings = json::parse(read_whole_file(suite));
  for (const json::value& string : strings.as_array()) {
    const std::string text = json::value_to<std::string>(string);
    if (characters_in(text) > 100) continue;
    const Answer tagged =
        user.patch(ann.id, json::serialize(json::object{{"tags", json::array{string}}})).then(200);
    const json::array expected = {tagged.data()};
    user.list("tag=" + boost::urls::encode(text, boost::urls::unreserved_chars))
        .then(200)
        .with_member("data", expected);
  }
}

TEST_F(Suites, EmailConsensus) {
  const fs::path suite = find_suite("email/consensus.json");
  CONTACTD_NEEDS_SUITE(suite);
  constexpr std::size_t octets_max = 254;
  const json::value entries = json::parse(read_whole_file(suite));
  for (const json::value& entry : entries.as_array()) {
    const std::string address = json::value_to<std::string>(entry.at("address"));
    SCOPED_TRACE(json::serialize(entry));
    const bool whatwg = entry.at("whatwg").as_bool() && address.size() <= octets_max;
    if (entry.at("core") != "policy") {
      EXPECT_EQ(whatwg, entry.at("core") == "core_valid");
    }
    const Answer answer =
        user.create(json::serialize(json::object{{"email", json::string{address}}}));
    answer.then(whatwg ? 201 : 400);
    if (answer.status() != 201) continue;
    // Free again, so that another spelling of the same address can follow.
    user.remove(json::value_to<std::string>(answer.data().at("id"))).then(200);
  }
}

// A merge-patch document as members of a contact; nothing where it doesn't fit into one: only
// objects of strings and numbers (as text) and nulls do.
std::optional<json::object> as_contact(const json::value& document) {
  static const std::map<std::string, std::string, std::less<>> fields = {
      {"a", "company"},  {"b", "university"},    {"c", "gender"},
      {"e", "birthday"}, {"title", "job_title"}, {"age", "location"}};
  const auto* object = document.if_object();
  if (object == nullptr) return std::nullopt;
  json::object members;
  for (const auto& [name, value] : *object) {
    const auto field = fields.find(std::string_view{name.data(), name.size()});
    if (field == fields.end() || value.is_structured() || value.is_bool()) return std::nullopt;
    members[field->second] = value.is_number() ? json::value(json::serialize(value)) : value;
  }
  return members;
}

TEST_F(Suites, MergePatchVectorsThatFitAFlatObject) {
  const fs::path suite = find_suite("merge_patch/rfc7396.json");
  CONTACTD_NEEDS_SUITE(suite);
  std::size_t sent = 0;
  const json::value vectors = json::parse(read_whole_file(suite));
  for (const json::value& vector : vectors.as_array()) {
    const auto before = as_contact(vector.at("doc"));
    const auto patch = as_contact(vector.at("patch"));
    const auto after = as_contact(vector.at("result"));
    if (!before || !patch || !after) continue;
    ++sent;
    SCOPED_TRACE(json::serialize(vector));
    const Contact contact = user.given_contact(json::serialize(*before));
    const Answer answer = user.patch(contact.id, json::serialize(*patch),
                                     {{"Content-Type", "application/merge-patch+json"}})
                              .then(200);
    for (const std::string field :
         {"company", "university", "gender", "birthday", "job_title", "location"}) {
      const json::value* const expected = after->if_contains(field);
      answer.with_field(field, expected == nullptr ? json::value(nullptr) : *expected);
    }
  }
  EXPECT_GE(sent, 5U);
}

}  // namespace
}  // namespace contactd::test
