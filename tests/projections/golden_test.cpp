#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_to.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "domain/event_codec.hpp"
#include "tests/projections/log_builder.hpp"
#include "tests/projections/tables.hpp"

// tests/golden/events holds an event of every type and version that was ever stored: its data to
// the byte, what came before it, and the rows that it folds to. Type and data are never changed; a
// new version of a type gets a file of its own. The rows change only with format_version.
namespace contactd::projections {
namespace {

using namespace contactd::test;
namespace json = boost::json;

struct Golden {
  std::filesystem::path path;
  std::string name;
  std::string type;
  std::string data;
  bool with_idempotency_key = false;
  std::vector<std::pair<std::string, std::string>> given;  // type and data of what came before
  std::vector<std::string> folds_to;
};

std::string text(const json::value& value) { return json::value_to<std::string>(value); }

Golden read_golden(const std::filesystem::path& path) {
  std::stringstream content;
  content << std::ifstream{path}.rdbuf();
  const json::value file = json::parse(content.str());
  Golden golden{path,
                path.filename().string(),
                text(file.at("type")),
                text(file.at("data")),
                file.at("idempotency_key").as_bool(),
                {},
                {}};
  for (const auto& earlier : file.at("given").as_array()) {
    golden.given.emplace_back(text(earlier.at("type")), text(earlier.at("data")));
  }
  for (const auto& row : file.at("folds_to").as_array()) golden.folds_to.push_back(text(row));
  return golden;
}

std::vector<Golden> all_golden() {
  std::vector<Golden> all;
  for (const auto& entry : std::filesystem::directory_iterator{CONTACTD_GOLDEN_EVENTS}) {
    if (entry.path().extension() == ".json") all.push_back(read_golden(entry.path()));
  }
  return all;
}

domain::Event decoded(std::string_view type, std::string_view data) {
  auto event = domain::decode_data(type, data);
  if (const auto* problem = std::get_if<domain::Undecodable>(&event)) {
    throw std::runtime_error("golden data of type " + std::string{type} + ": " + problem->reason);
  }
  return std::get<domain::Event>(std::move(event));
}

// "contactd.contact.created.v1" stands in contact.created.v1.json, or contact.created.v1.*.json.
std::string file_stem_of(std::string_view type) {
  return std::string{type.substr(std::string_view{"contactd."}.size())};
}

TEST(GoldenEvents, AreThereForEveryType) {
  std::set<std::string> covered;
  for (const Golden& golden : all_golden()) {
    covered.insert(golden.type);
    EXPECT_TRUE(golden.name.starts_with(file_stem_of(golden.type) + ".")) << golden.name;
  }
  for (const std::string_view type : domain::stored_types()) {
    EXPECT_TRUE(covered.contains(std::string{type}))
        << "tests/golden/events has no " << file_stem_of(type) << ".json";
  }
}

TEST(GoldenEvents, DecodeAndEncodeToTheSameBytes) {
  for (const Golden& golden : all_golden()) {
    SCOPED_TRACE(golden.name);
    const domain::Event event = decoded(golden.type, golden.data);
    EXPECT_EQ(domain::type_of(event), golden.type);
    EXPECT_EQ(domain::encode_data(event), golden.data);
  }
}

std::vector<std::string> folded(const Golden& golden) {
  LogBuilder builder;
  for (const auto& [type, data] : golden.given) builder.then(decoded(type, data));
  builder.at(after(1));
  if (golden.with_idempotency_key) builder.with_key(0xab, 0xcd);
  const domain::Event event = decoded(golden.type, golden.data);
  if (std::holds_alternative<domain::WriterClaimed>(event)) {
    builder.claim();
  } else {
    builder.then(event);
  }
  Tables tables;
  fold_rest(tables, builder.log);
  return tables.lines();
}

// Puts these rows into the golden file, where they are the last member, a line each. The rest of
// it, which is stored for ever, stays as it is.
void write_rows(const Golden& golden, const std::vector<std::string>& rows) {
  std::stringstream content;
  content << std::ifstream{golden.path}.rdbuf();
  const std::string_view heading = "\n  \"folds_to\": [\n";
  const std::size_t at = content.str().find(heading);
  ASSERT_NE(at, std::string::npos);
  std::string text = content.str().substr(0, at + heading.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    text += "    " + json::serialize(json::string{rows[i]}) + (i + 1 < rows.size() ? ",\n" : "\n");
  }
  std::ofstream{golden.path} << text + "  ]\n}\n";
}

TEST(GoldenEvents, FoldToTheSameRows) {
  for (const Golden& golden : all_golden()) {
    SCOPED_TRACE(golden.name);
    const std::vector<std::string> rows = folded(golden);
    if (std::getenv("CONTACTD_WRITE_GOLDEN") != nullptr) {
      write_rows(golden, rows);
      continue;
    }
    EXPECT_THAT(rows, testing::ElementsAreArray(golden.folds_to))
        << testing::PrintToString(rows) << '\n'
        << other_layout;
  }
}

}  // namespace
}  // namespace contactd::projections
