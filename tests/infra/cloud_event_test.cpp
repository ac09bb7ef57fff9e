#include "infra/cloud_event.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "domain/event_codec.hpp"
#include "projections/event_chain.hpp"
#include "tests/projections/log_builder.hpp"
#include "tests/support/suites.hpp"

// Every event as a record of the Kafka topic. tests/golden/kafka has one record for each file of
// tests/golden/events, to the byte; what stands there is on somebody's topic and never changes.
namespace contactd::infra {
namespace {

using namespace contactd::test;
using domain::RecordedEvent;
namespace json = boost::json;

using Decoded = std::variant<RecordedEvent, UnreadableRecord, ForeignRecord>;

Decoded decode(const KafkaRecord& record) {
  const std::vector<KafkaHeaderView> headers(record.headers.begin(), record.headers.end());
  return decode_cloud_event({record.key, headers, record.value});
}

// What became of the record: "event", "foreign", or why it can't be read.
std::string verdict(const KafkaRecord& record) {
  const Decoded decoded = decode(record);
  if (std::holds_alternative<RecordedEvent>(decoded)) return "event";
  if (std::holds_alternative<ForeignRecord>(decoded)) return "foreign";
  return std::get<UnreadableRecord>(decoded).reason;
}

json::value as_json(const KafkaRecord& record) {
  json::object headers;
  for (const auto& [name, value] : record.headers) headers[name] = value;
  return {{"key", record.key}, {"headers", headers}, {"value", record.value}};
}

std::string text(const json::value& value) { return json::value_to<std::string>(value); }

json::value read_json(const std::filesystem::path& path) {
  std::stringstream content;
  content << std::ifstream{path}.rdbuf();
  return json::parse(content.str());
}

KafkaRecord read_golden(const std::filesystem::path& path) {
  const json::value file = read_json(path);
  KafkaRecord record{text(file.at("key")), {}, text(file.at("value"))};
  for (const auto& [name, value] : file.at("headers").as_object()) {
    record.headers.emplace_back(name, text(value));
  }
  return record;
}

RecordedEvent recorded(domain::Event event, bool with_idempotency_key) {
  RecordedEvent out{domain::EventId::from(0x017F22E279B0, {~0ULL, ~0ULL}),
                    noon,
                    org("acme"),
                    "key1",
                    "request \"1\"",
                    {},
                    {258, 3},
                    std::move(event)};
  if (with_idempotency_key) out.idempotency = domain::IdempotencyStamp{digest(0xab), digest(0xcd)};
  if (std::holds_alternative<domain::WriterClaimed>(out.event)) {
    out.organization = {};
    out.actor = "contactd";
    out.request_id = {};
    out.stamp = {};
  }
  return out;
}

RecordedEvent sample() { return recorded(domain::ContactDeleted{contact_id("ann"), 2}, true); }

std::string& header(KafkaRecord& record, std::string_view name) {
  for (auto& [known, value] : record.headers) {
    if (known == name) return value;
  }
  throw std::logic_error("the record has no header " + std::string{name});
}

void remove_header(KafkaRecord& record, std::string_view name) {
  std::erase_if(record.headers, [&](const auto& known) { return known.first == name; });
}

TEST(CloudEvent, HasTheBytesOfTheGoldenRecords) {
  const std::filesystem::path golden{CONTACTD_GOLDEN};
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator{golden / "events"}) {
    SCOPED_TRACE(entry.path().filename().string());
    const json::value file = read_json(entry.path());
    const auto data = domain::decode_data(text(file.at("type")), text(file.at("data")));
    const RecordedEvent event =
        recorded(std::get<domain::Event>(data), file.at("idempotency_key").as_bool());
    const KafkaRecord record = encode_cloud_event(event);
    const auto path = golden / "kafka" / entry.path().filename();
    ASSERT_TRUE(std::filesystem::exists(path)) << "tests/golden/kafka lacks it:\n"
                                               << json::serialize(as_json(record));
    const KafkaRecord frozen = read_golden(path);
    EXPECT_EQ(record.key, frozen.key);
    EXPECT_EQ(record.headers, frozen.headers);
    EXPECT_EQ(record.value, frozen.value);
    const Decoded decoded = decode(frozen);
    ASSERT_EQ(verdict(frozen), "event");
    EXPECT_EQ(std::get<RecordedEvent>(decoded), event);
    ++count;
  }
  const std::filesystem::directory_iterator records{golden / "kafka"};
  EXPECT_EQ(count, static_cast<std::size_t>(std::distance(begin(records), end(records))));
}

// The canonical bytes that a reader makes of a record.
std::string canonical_of(const KafkaRecord& record) {
  const std::vector<KafkaHeaderView> headers(record.headers.begin(), record.headers.end());
  const KafkaRecordView view{record.key, headers, record.value};
  return canonical_bytes(std::get<RecordedEvent>(decode_cloud_event(view)), view);
}

// The hash is what `sha256sum` says of 32 zero bytes and the canonical bytes.
TEST(CloudEvent, CarriesItsChainHash) {
  const KafkaRecord frozen =
      read_golden(std::filesystem::path{CONTACTD_GOLDEN} / "kafka_chained/contact.deleted.v1.json");
  RecordedEvent event = sample();
  event.chain_hash = projections::chain_hash({}, projections::canonical_bytes(event));
  EXPECT_EQ(encode_cloud_event(event).headers, frozen.headers);
  EXPECT_EQ(encode_cloud_event(event).value, frozen.value);
  EXPECT_EQ(std::get<RecordedEvent>(decode(frozen)), event);
  EXPECT_EQ(projections::chain_hash({}, canonical_of(frozen)), event.chain_hash);
  for (const char* wrong : {"", "00", "HASH"}) {
    KafkaRecord record = frozen;
    header(record, "ce_chainhash") = wrong;
    EXPECT_NE(verdict(record).find("ce_chainhash"), std::string::npos) << verdict(record);
  }
}

// Canonical is what is stored, not what this release would store instead.
TEST(CloudEvent, HasCanonicalBytesOfTheTypeThatIsStored) {
  const std::filesystem::path golden{CONTACTD_GOLDEN};
  for (const auto& entry : std::filesystem::directory_iterator{golden / "kafka"}) {
    KafkaRecord record = read_golden(entry.path());
    const std::string canonical = canonical_of(record);
    EXPECT_EQ(canonical, projections::canonical_bytes(std::get<RecordedEvent>(decode(record))));
    EXPECT_NE(canonical.find(header(record, "ce_type")), std::string::npos);
    record.value.insert(1, " ");  // the same event, in bytes that contactd doesn't write
    EXPECT_NE(canonical_of(record), canonical) << entry.path();
  }
}

TEST(CloudEvent, ReadsBackWhateverIsRecorded) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  RandomLog source{random};
  source.run(400);
  for (const RecordedEvent& event : source.log()) {
    const KafkaRecord record = encode_cloud_event(event);
    ASSERT_EQ(verdict(record), "event");
    ASSERT_EQ(std::get<RecordedEvent>(decode(record)), event);
    ASSERT_EQ(canonical_of(record), projections::canonical_bytes(event));
  }
}

// CloudEvents 1.0, "Attribute Naming Convention" and "Type System": names of lower-case letters and
// digits, at most 20 of them recommended; no empty values and no control characters.
TEST(CloudEvent, NamesAttributesAsCloudEventsDoes) {
  for (const auto& [name, value] : encode_cloud_event(sample()).headers) {
    EXPECT_FALSE(value.empty()) << name;
    EXPECT_EQ(std::count_if(value.begin(), value.end(),
                            [](unsigned char c) { return c < 0x20 || c == 0x7f; }),
              0)
        << name;
    if (name == "content-type") continue;
    EXPECT_THAT(name, testing::MatchesRegex("ce_[a-z0-9]{1,20}"));
  }
}

TEST(CloudEvent, PassesOverWhatItDoesNotKnow) {
  KafkaRecord record = encode_cloud_event(sample());
  record.headers.emplace_back("ce_traceparent", "00-1-2-01");
  record.headers.emplace_back("ce_traceparent", "again");
  record.headers.emplace_back("ce_", "");
  record.headers.emplace_back("", "");
  record.headers.emplace_back("CE_ID", "another name, to Kafka");
  record.headers.emplace_back("user-agent", "mirror");
  std::reverse(record.headers.begin(), record.headers.end());
  ASSERT_EQ(verdict(record), "event");
  EXPECT_EQ(std::get<RecordedEvent>(decode(record)), sample());
}

TEST(CloudEvent, TakesForForeignWhatHasNoTypeOfItsOwn) {
  EXPECT_EQ(verdict({"", {}, ""}), "foreign");
  EXPECT_EQ(verdict({"acme", {{"content-type", "application/json"}}, "{}"}), "foreign");
  EXPECT_EQ(verdict({"", {{"ce_specversion", "1.0"}, {"ce_type", "com.example.x"}}, "{}"}),
            "foreign");
  EXPECT_EQ(verdict({"", {{"ce_type", "contactd"}}, "{}"}), "foreign");
  KafkaRecord untyped = encode_cloud_event(sample());
  remove_header(untyped, "ce_type");
  EXPECT_EQ(verdict(untyped), "foreign");
}

TEST(CloudEvent, RefusesARecordThatLacksAHeader) {
  const KafkaRecord whole = encode_cloud_event(sample());
  for (const auto& [name, value] : whole.headers) {
    if (name == "ce_type" || name == "ce_source" || name == "ce_dataschema" || name == "ce_actor" ||
        name == "ce_requestid") {
      continue;
    }
    KafkaRecord record = whole;
    remove_header(record, name);
    EXPECT_NE(verdict(record), "event") << name;
    EXPECT_NE(verdict(record), "foreign") << name;
  }
}

TEST(CloudEvent, RefusesARecordThatHasAHeaderTwice) {
  const KafkaRecord whole = encode_cloud_event(sample());
  for (const auto& [name, value] : whole.headers) {
    KafkaRecord record = whole;
    record.headers.emplace_back(name, value);
    EXPECT_EQ(verdict(record), "it has header " + name + " twice");
  }
  KafkaRecord two_types = whole;
  two_types.headers.insert(two_types.headers.begin(), {"ce_type", "com.example.x"});
  EXPECT_EQ(verdict(two_types), "it has header ce_type twice");
}

TEST(CloudEvent, RefusesWhatItCannotReadOrWhatContradictsItself) {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"content-type", "text/plain"},
      {"content-type", "application/cloudevents+json"},
      {"ce_specversion", "0.3"},
      {"ce_specversion", "2.0"},
      {"ce_id", ""},
      {"ce_id", "7"},
      {"ce_type", "contactd."},
      {"ce_type", "contactd.contact.deleted.v2"},
      {"ce_time", ""},
      {"ce_time", "noon"},
      {"ce_subject", "bob00000000000000000"},
      {"ce_subject", ""},
      {"ce_contactversion", "3"},
      {"ce_contactversion", "two"},
      {"ce_organization", "other"},
      {"ce_organization", "ac/me"},
      {"ce_claim", "-1"},
      {"ce_claim", ""},
      {"ce_claim", "18446744073709551616"},
      {"ce_claimsequence", "3 "},
      {"ce_idempotencykey", "ab"},
      {"ce_idempotencyrequest", std::string(64, 'x')},
  };
  for (const auto& [name, value] : rows) {
    KafkaRecord record = encode_cloud_event(sample());
    header(record, name) = value;
    EXPECT_NE(verdict(record), "event") << name << ": " << value;
    EXPECT_NE(verdict(record), "foreign") << name << ": " << value;
  }
  KafkaRecord key = encode_cloud_event(sample());
  key.key = "other";
  EXPECT_EQ(verdict(key), "its key isn't its organization");
  KafkaRecord tombstone = encode_cloud_event(sample());
  tombstone.value.clear();
  EXPECT_THAT(verdict(tombstone), testing::HasSubstr("contactd.contact.deleted.v1"));
  KafkaRecord claim = encode_cloud_event(recorded(domain::WriterClaimed{"w", 3}, false));
  claim.headers.emplace_back("ce_subject", "ann00000000000000000");
  EXPECT_NE(verdict(claim), "event");
}

TEST(CloudEvent, SurvivesDamage) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  RandomLog source{random};
  source.run(60);
  for (int i = 0; i < 20'000; ++i) {
    KafkaRecord record = encode_cloud_event(random.pick(source.log()));
    auto& [name, value] = record.headers[random.below(record.headers.size())];
    std::string& damaged = random.one_in(3) ? record.value : random.one_in(4) ? name : value;
    damaged[random.below(damaged.size())] = static_cast<char>(random.below(256));
    const Decoded decoded = decode(record);
    if (const auto* event = std::get_if<RecordedEvent>(&decoded)) {
      const KafkaRecord again = encode_cloud_event(*event);
      ASSERT_EQ(verdict(again), "event");
      ASSERT_EQ(std::get<RecordedEvent>(decode(again)), *event);
    }
  }
}

// The lines of a Gherkin file or of a YAML file, without the space around them.
std::vector<std::string> lines_in(const std::filesystem::path& path) {
  std::vector<std::string> lines;
  std::ifstream file{path};
  for (std::string line; std::getline(file, line);) {
    const std::size_t from = line.find_first_not_of(" \t\r");
    const std::size_t to = line.find_last_not_of(" \t\r");
    lines.push_back(from == std::string::npos ? "" : line.substr(from, to - from + 1));
  }
  return lines;
}

// `| key | value |` as {"key", "value"}.
std::optional<std::pair<std::string, std::string>> table_row(const std::string& line) {
  static const std::regex row{R"(\|\s*(\S+)\s*\|\s*(.*?)\s*\|)"};
  std::smatch match;
  if (!std::regex_match(line, match, row) || match[1] == "key") return std::nullopt;
  return std::pair{match[1].str(), match[2].str()};
}

// The tables of the first scenario, which is the binary mode: a message's headers, then its
// attributes.
using FeatureTable = std::vector<std::pair<std::string, std::string>>;
std::pair<FeatureTable, FeatureTable> binary_mode_of(const std::filesystem::path& feature) {
  std::pair<FeatureTable, FeatureTable> tables;
  FeatureTable* into = nullptr;
  for (const std::string& line : lines_in(feature)) {
    if (line.starts_with("And Kafka headers:")) into = &tables.first;
    if (line.starts_with("Then the attributes are:")) into = &tables.second;
    if (line.starts_with("And the data is")) break;
    if (const auto row = table_row(line); row && into != nullptr) into->push_back(*row);
  }
  return tables;
}

// The CloudEvents project's own conformance table says which header an attribute travels in.
TEST(CloudEventsSuite, SaysWhereAttributesTravel) {
  const auto path = find_suite("cloudevents/features/kafka-protocol-binding.feature");
  CONTACTD_NEEDS_SUITE(path);
  const auto [headers, attributes] = binary_mode_of(path);
  ASSERT_EQ(headers.size(), 6U);
  ASSERT_EQ(attributes.size(), headers.size());
  KafkaRecord ours = encode_cloud_event(sample());
  for (const auto& [attribute, value] : attributes) {
    const std::string name = attribute == "datacontenttype" ? "content-type" : "ce_" + attribute;
    EXPECT_THAT(headers, testing::Contains(testing::Pair(name, value)));
    if (attribute == "specversion" || attribute == "datacontenttype") {
      EXPECT_EQ(header(ours, name), value);
    }
    EXPECT_NO_THROW(header(ours, name)) << "contactd's records lack " << name;
  }
  EXPECT_EQ(verdict({"", headers, R"({"message": "Hello World!"})"}), "foreign");
  const std::string structured = json::serialize(as_json(ours));
  EXPECT_EQ(verdict({"", {{"content-type", "application/cloudevents+json"}}, structured}),
            "foreign");
}

// The events of the conformance files, in binary mode: none of them is contactd's.
TEST(CloudEventsSuite, HasNothingOfContactds) {
  static const std::regex attribute{
      R"((specversion|type|time|id|source|\w+extension\d)\s*:\s*(.*))"};
  std::size_t count = 0;
  for (const char* const name :
       {"cloudevents/yaml/v1.yaml", "cloudevents/yaml/v1.0/v1_minimum.yaml",
        "cloudevents/yaml/v03.yaml"}) {
    const auto path = find_suite(name);
    CONTACTD_NEEDS_SUITE(path);
    KafkaRecord record;
    for (const std::string& line : lines_in(path)) {
      std::smatch match;
      if (std::regex_match(line, match, attribute)) {
        record.headers.emplace_back("ce_" + match[1].str(), match[2]);
      }
      if (line != "Data: |") continue;
      EXPECT_EQ(verdict(record), "foreign");
      EXPECT_NO_THROW(header(record, "ce_type"));
      record.headers.clear();
      ++count;
    }
  }
  EXPECT_GE(count, 8U);
}

}  // namespace
}  // namespace contactd::infra
