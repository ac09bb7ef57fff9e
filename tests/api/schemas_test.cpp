#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>

#include "domain/event_codec.hpp"
#include "tests/projections/log_builder.hpp"
#include "tests/support/api_fixture.hpp"
#include "tests/support/json_schema.hpp"

// GET /schemas: what a consumer of the topic needs to read the events without contactd's code.
// Every golden event, and whatever the rules decide, must be as the schemas say.
namespace contactd::test {
namespace {

namespace json = boost::json;

std::string string_of(const json::value& value) { return json::value_to<std::string>(value); }

// A JSON value that isn't what it was: some node has another type, or a member too many or too few.
json::value damaged(json::value whole, Random& random) {
  json::value* at = &whole;
  for (;;) {
    if (auto* object = at->if_object(); object != nullptr && !object->empty()) {
      auto member = object->begin() + static_cast<std::ptrdiff_t>(random.below(object->size()));
      if (random.one_in(4)) {
        object->emplace("no_such_member", 1);
        return whole;
      }
      at = &member->value();
      continue;
    }
    if (auto* array = at->if_array(); array != nullptr && !array->empty()) {
      at = &(*array)[random.below(array->size())];
      continue;
    }
    *at = at->is_bool() ? json::value("x") : json::value(true);
    return whole;
  }
}

class Schemas : public ApiTest {
 protected:
  static std::string path_of(std::string_view type) { return "/schemas/" + std::string{type}; }

  const JsonSchema& schema_of(const std::string& type) {
    auto& schema = schemas_[type];
    if (schema == nullptr) {
      const json::value document = user.send("GET", path_of(type)).then(200).json();
      schema = std::make_unique<JsonSchema>(resolve_references(document, document));
    }
    return *schema;
  }

  void expect_valid(const std::string& type, const std::string& data) {
    for (const auto& complaint : schema_of(type).complaints_about(json::parse(data))) {
      ADD_FAILURE() << type << ' ' << data << ": " << complaint;
    }
  }

  std::map<std::string, std::unique_ptr<JsonSchema>> schemas_;
};

TEST_F(Schemas, AreThereForEveryTypeThatWasEverStored) {
  ApiUser nobody{shared_server().port(), ""};
  const json::value list = nobody.send("GET", "/schemas").then(200).json();
  std::set<std::string> listed;
  for (const json::value& item : list.at("data").as_array()) {
    const std::string type = string_of(item.at("type"));
    listed.insert(type);
    EXPECT_EQ(string_of(item.at("schema")), path_of(type));
    const Answer answer = nobody.send("GET", path_of(type)).then(200);
    answer.with_header("Content-Type", "application/schema+json");
    EXPECT_EQ(string_of(answer.json().at("$id")), "urn:contactd:schemas:" + type);
    EXPECT_EQ(string_of(answer.json().at("$schema")),
              "https://json-schema.org/draft/2020-12/schema");
  }
  const auto stored = domain::stored_types();
  EXPECT_EQ(listed, std::set<std::string>(stored.begin(), stored.end()));
}

TEST_F(Schemas, AreMissedWhereThereIsNoSuchType) {
  for (const std::string type : {"contactd.contact.updated.v9", "contactd.contact.updated.v1.json",
                                 "CONTACTD.CONTACT.UPDATED.V1", "..%2f", "x"}) {
    user.send("GET", path_of(type)).then(404);
    user.send("HEAD", path_of(type)).then(404);
  }
}

TEST_F(Schemas, TakeEveryGoldenEvent) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator{CONTACTD_GOLDEN "/events"}) {
    std::stringstream content;
    content << std::ifstream{entry.path()}.rdbuf();
    const json::value golden = json::parse(content.str());
    expect_valid(string_of(golden.at("type")), string_of(golden.at("data")));
    ++count;
  }
  EXPECT_GE(count, domain::stored_types().size());
}

TEST_F(Schemas, TakeWhateverIsDecidedAndNothingThatIsDamaged) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  RandomLog source{random};
  source.run(300);
  std::set<std::string> seen;
  for (const domain::RecordedEvent& event : source.log()) {
    const std::string type{domain::type_of(event.event)};
    const std::string data = domain::encode_data(event.event);
    seen.insert(type);
    ASSERT_NO_FATAL_FAILURE(expect_valid(type, data));
    const json::value wrong = damaged(json::parse(data), random);
    EXPECT_FALSE(schema_of(type).complaints_about(wrong).empty())
        << type << ' ' << json::serialize(wrong);
  }
  EXPECT_GE(seen.size(), 5U);
}

TEST_F(Schemas, NameEveryFieldOfTheTable) {
  for (const std::string type : {"contactd.contact.created.v1", "contactd.contact.updated.v1"}) {
    const json::value schema = user.send("GET", path_of(type)).then(200).json();
    const json::object& fields = schema.at("properties").at("changes").at("properties").as_object();
    EXPECT_EQ(fields.size(), domain::field_count);
    for (const auto& spec : domain::field_table) EXPECT_TRUE(fields.contains(spec.name));
  }
}

}  // namespace
}  // namespace contactd::test
