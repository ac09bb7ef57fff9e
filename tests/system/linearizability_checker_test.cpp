// That the checker sees what is wrong: known-bad histories, each beside a good one that differs
// from it in one thing.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/system/linearizability.hpp"

namespace contactd::test {
namespace {

using Contact = ContactModel::Operation;
using ContactHistory = std::vector<Recorded<Contact>>;
using Kind = ContactModel::Kind;
using Output = ContactModel::Output;

Contact get(std::uint64_t version, const char* title) {
  return {Kind::get, "", 0, Output::done, version, title};
}
Contact set(const char* title, std::uint64_t version, std::uint64_t if_match = 0) {
  return {Kind::set_title, title, if_match, Output::done, version, title};
}
Contact failed(Contact operation, Output output) {
  operation.output = output;
  return operation;
}

struct HistoryRow {
  const char* what;
  bool holds;
  ContactHistory history;
};

TEST(LinearizabilityCheck, TellsGoodHistoriesOfAContactFromBadOnes) {
  const std::int64_t open = never_returned;
  const Contact unknown_set = failed(set("a", 0), Output::unknown);
  const std::vector<HistoryRow> rows = {
      {"nothing happened", true, {}},
      {"one after the other", true, {{1, 2, set("a", 2)}, {3, 4, get(2, "a")}}},
      {"a stale read", false, {{1, 2, set("a", 2)}, {3, 4, get(1, "")}}},
      {"a read beside a write may see it", true, {{1, 4, set("a", 2)}, {2, 3, get(2, "a")}}},
      {"or may not", true, {{1, 4, set("a", 2)}, {2, 3, get(1, "")}}},
      {"but not first see it and then not",
       false,
       {{1, 9, set("a", 2)}, {2, 3, get(2, "a")}, {4, 5, get(1, "")}}},
      {"a lost update", false, {{1, 4, set("a", 2)}, {2, 3, set("b", 2)}, {5, 6, get(2, "a")}}},
      {"two updates at once",
       true,
       {{1, 4, set("a", 3)}, {2, 3, set("b", 2)}, {5, 6, get(3, "a")}}},
      {"one of them under a version that was gone",
       false,
       {{1, 2, set("a", 2)}, {3, 4, set("b", 3, 1)}}},
      {"If-Match failed though it held",
       false,
       {{1, 2, failed(set("a", 0, 1), Output::precondition_failed)}}},
      {"unknown, and seen", true, {{1, open, unknown_set}, {2, 3, get(2, "a")}}},
      {"unknown, and not seen", true, {{1, open, unknown_set}, {2, 3, get(1, "")}}},
      {"unknown, and seen late",
       true,
       {{1, open, unknown_set}, {2, 3, get(1, "")}, {4, 5, get(2, "a")}}},
      {"unknown, seen, and gone again",
       false,
       {{1, open, unknown_set}, {2, 3, get(2, "a")}, {4, 5, get(1, "")}}},
      {"unknown, and applied twice", false, {{1, open, unknown_set}, {2, 3, get(3, "a")}}},
      {"deleted, and read",
       false,
       {{1, 2, {Kind::remove, "", 0, Output::done, 0, ""}}, {3, 4, get(1, "")}}},
      {"not found, and there", false, {{1, 2, failed(get(0, ""), Output::not_found)}}},
      {"deleted, and not found",
       true,
       {{1, 2, {Kind::remove, "", 0, Output::done, 0, ""}},
        {3, 4, failed(get(0, ""), Output::not_found)}}},
      {"acknowledged and lost",
       false,
       {{1, 2, set("a", 2)}, {3, 4, set("b", 3)}, {5, 6, get(2, "a")}}},
  };
  for (const HistoryRow& row : rows) {
    EXPECT_EQ(LinearizabilityCheck<ContactModel>{row.history}.holds(), row.holds) << row.what;
  }
}

TEST(LinearizabilityCheck, TellsGoodHistoriesOfAnEmailFromBadOnes) {
  using Email = EmailModel::Operation;
  using Out = EmailModel::Output;
  struct EmailRow {
    const char* what;
    bool holds;
    std::vector<Recorded<Email>> history;
  };
  const std::int64_t open = never_returned;
  const std::vector<EmailRow> rows = {
      {"one wins", true, {{1, 4, {"ann", Out::taken, ""}}, {2, 3, {"bob", Out::conflict, "ann"}}}},
      {"two win", false, {{1, 4, {"ann", Out::taken, ""}}, {2, 3, {"bob", Out::taken, ""}}}},
      {"nobody wins", false, {{1, 4, {"ann", Out::conflict, "bob"}}}},
      {"the wrong one is named",
       false,
       {{1, 4, {"ann", Out::taken, ""}}, {2, 3, {"bob", Out::conflict, "cy"}}}},
      {"the winner never heard",
       true,
       {{1, open, {"ann", Out::unknown, ""}}, {2, 3, {"bob", Out::conflict, "ann"}}}},
      {"it won before it asked",
       false,
       {{1, 2, {"bob", Out::conflict, "ann"}}, {3, open, {"ann", Out::unknown, ""}}}},
  };
  for (const EmailRow& row : rows) {
    EXPECT_EQ(LinearizabilityCheck<EmailModel>{row.history}.holds(), row.holds) << row.what;
  }
}

}  // namespace
}  // namespace contactd::test
