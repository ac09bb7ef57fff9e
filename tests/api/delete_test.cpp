#include <boost/json.hpp>

#include "tests/support/api_fixture.hpp"

// DELETE /contacts/{contactId}.
namespace contactd::test {
namespace {

namespace json = boost::json;

class Delete : public ApiTest {};

TEST_F(Delete, AnswersThatItIsDeleted) {
  const Contact ann = user.given_contact();

  const Answer deleted = user.remove(ann.id).then(200).without_header("ETag");
  EXPECT_EQ(deleted.body(), R"({"deleted":true,"id":")" + ann.id + R"("})");
}

TEST_F(Delete, TheContactIsGoneEverywhere) {
  const Contact ann = user.given_contact(R"({"email": "ann@example.com", "tags": ["vip"]})");
  const Contact bob = user.given_contact(R"({"tags": ["vip"]})");
  user.remove(ann.id).then(200);

  user.read(ann.id).then(404).with_error("Contact not found");
  user.patch(ann.id, "{}").then(404).with_error("Contact not found");
  user.remove(ann.id).then(404).with_error("Contact not found");
  user.list("email=ann@example.com").then(200).with_member("data", json::array{});
  const json::array left = {bob.data};
  user.list("tag=vip").then(200).with_member("data", left);
  user.list().then(200).with_member("data", left);
}

TEST_F(Delete, TheEmailIsFreeAgain) {
  const Contact ann = user.given_contact(R"({"email": "ann@example.com"})");
  user.remove(ann.id).then(200);

  const Contact next = user.given_contact(R"({"email": "ann@example.com"})");
  EXPECT_NE(next.id, ann.id);
}

TEST_F(Delete, OfAnUnknownContactIs404) {
  user.remove("AbCdEfGhIjKlMnOpQrSt").then(404).with_error("Contact not found");
  user.remove("x").then(404).with_error("Contact not found");
}

TEST_F(Delete, HonoursIfMatch) {
  const Contact ann = user.given_contact();
  user.given_patched(ann.id, R"({"company": "Acme Inc"})");

  user.remove(ann.id, {{"If-Match", ann.etag}}).then(412);
  user.read(ann.id).then(200);
  user.remove(ann.id, {{"If-Match", "\"2\""}}).then(200);
}

}  // namespace
}  // namespace contactd::test
