#include <boost/json.hpp>

#include "tests/api/contract_fields.hpp"
#include "tests/support/api_fixture.hpp"

// GET and HEAD /contacts/{contactId}.
namespace contactd::test {
namespace {

namespace json = boost::json;

class Get : public ApiTest {};

TEST_F(Get, AnswersWithTheContact) {
  const Contact ann = user.given_contact(R"({"first_name": "Ann", "tags": ["vip"]})");

  const Answer read = user.read(ann.id).then(200).with_header("ETag", ann.etag);
  EXPECT_EQ(read.data(), ann.data);
  EXPECT_EQ(read.json().as_object().size(), 1U);
}

TEST_F(Get, HasEveryMemberInTheContractsOrder) {
  const Contact ann = user.given_contact();

  std::vector<std::string> names;
  for (const auto& member : user.read(ann.id).data()) names.emplace_back(member.key());
  EXPECT_EQ(names, std::vector<std::string>(contact_members.begin(), contact_members.end()));
}

TEST_F(Get, AFieldThatWasNeverSetReadsNullAndTheTagsEmpty) {
  const Contact ann = user.given_contact();

  const Answer read = user.read(ann.id).then(200);
  for (const ContractField& field : contract_fields) {
    json::value expected = nullptr;
    if (field.takes == Takes::status) expected = "active";
    if (field.takes == Takes::tags) expected = json::array{};
    read.with_field(field.name, expected);
  }
}

TEST_F(Get, OfAnUnknownOrDeletedContactIs404) {
  const Contact ann = user.given_contact();
  user.remove(ann.id).then(200);

  for (const std::string& id : {ann.id, std::string{"AbCdEfGhIjKlMnOpQrSt"}, std::string{"x"}}) {
    user.read(id).then(404).with_error("Contact not found").without_header("ETag");
  }
}

TEST_F(Get, AQueryParameterIsA400ThatNamesIt) {
  const Contact ann = user.given_contact();
  user.read(ann.id + "?fields=email").then(400).with_error_naming("fields");
}

TEST_F(Get, AnEncodedIdIsTheSameId) {
  const Contact ann = user.given_contact();
  constexpr std::string_view digits = "0123456789ABCDEF";
  const auto first = static_cast<unsigned char>(ann.id.front());
  const std::string encoded = std::string{"%"} + digits[first / 16] + digits[first % 16];

  user.read(encoded + ann.id.substr(1)).then(200).with_field("id", ann.id);
}

TEST_F(Get, HeadAnswersWithTheHeadersOfGetAndNoBody) {
  const Contact ann = user.given_contact();

  const Answer get = user.read(ann.id).then(200);
  const Answer head = user.send("HEAD", contact_path(ann.id)).then(200);
  EXPECT_EQ(head.body(), "");
  for (const std::string name : {"Content-Type", "Content-Length", "ETag"}) {
    head.with_header(name, get.response().header(name).value_or("none"));
  }
  user.send("HEAD", contact_path("AbCdEfGhIjKlMnOpQrSt")).then(404);
  user.send("HEAD", "/api/v1/contacts").then(200).with_header("Content-Length");
}

}  // namespace
}  // namespace contactd::test
