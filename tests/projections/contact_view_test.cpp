#include "projections/contact_view.hpp"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "domain/contact/decide.hpp"
#include "projections/binary.hpp"
#include "tests/domain/random_commands.hpp"
#include "tests/projections/tables.hpp"

namespace contactd::projections {
namespace {

using namespace contactd::test;
using domain::Contact;
using domain::ContactState;
using domain::Field;

Contact contact_of(const domain::ContactCreated& event) {
  return std::get<Contact>(evolve(ContactState{}, event, noon));
}

Contact sample() {
  Contact contact =
      contact_of({ann,
                  {first(Field::first_name, "A\"\\\n\x01漢😀"), first(Field::email, "ann@x.io"),
                   first(Field::status, "active"), first_tags({"a\"]", "\\", "", "]"})}});
  ContactState state = evolve(
      ContactState{contact}, domain::ContactUpdated{ann, 2, {first(Field::company, "")}}, after(5));
  return std::get<Contact>(state);
}

TEST(ContactView, IsTheApisContactInTheContractsOrder) {
  EXPECT_EQ(render(sample(), 9).json(),
            R"({"id":"ann00000000000000000","first_name":"A\"\\\n\u0001漢😀","last_name":null,)"
            R"("email":"ann@x.io","phone_number":null,"status":"active","job_title":null,)"
            R"("company":"","university":null,"gender":null,"birthday":null,"location":null,)"
            R"("linkedin":null,"instagram":null,"twitter":null,"github":null,"website":null,)"
            R"("tags":["a\"]","\\","","]"],"created_at":"2025-07-15T10:30:00.000Z",)"
            R"("updated_at":"2025-07-15T10:30:00.005Z"})");
}

// Frozen (other_layout says how that is changed).
TEST(ContactView, HasTheseBytes) {
  const std::string row = render(sample(), 9).row;
  EXPECT_EQ(printable(std::string_view{row}.substr(0, row.find('{'))),
            "\\x01\\x004"                               // format, json_at
            "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02"  // version
            "\\x00\\x00\\x01\\x98\\x0d\\xa2XE"          // updated_at
            "\\x00\\x00\\x01\\x98\\x0d\\xa2X@"          // created_at
            "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x09"  // offset
            "\\x01\\x00\\x01\\x00\\x01\\x00\\x02"       // changed_in, first_name to company
            "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01")
      << other_layout;
}

void expect_round_trip(const Contact& contact, std::uint64_t offset) {
  const ContactView view = render(contact, offset);
  ASSERT_EQ(view.contact, contact);
  ASSERT_EQ(view.offset, offset);
  const ContactView read = read_contact(view.row);
  ASSERT_EQ(read.contact, contact);
  ASSERT_EQ(read.offset, offset);
  ASSERT_EQ(read.row, view.row);
  ASSERT_EQ(read.json(), view.json());
  const ContactDocument document = read_document(view.row);
  ASSERT_EQ(document.version, contact.version);
  ASSERT_EQ(document.json, view.json());
  ASSERT_TRUE(boost::json::parse(view.json()).is_object());
}

TEST(ContactView, ReadsBackWhatItRenders) {
  expect_round_trip(sample(), 0);
  expect_round_trip(contact_of({ann, {}}), ~0ULL);
  Contact old = sample();
  old.version = ~0ULL;
  old.changed_in.fill(~0ULL);
  expect_round_trip(old, 1ULL << 40U);
}

TEST(ContactView, ReadsBackRandomContacts) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  RandomCommands commands{random};
  ContactState state = evolve(ContactState{}, created(ann), noon);
  for (int i = 0; i < 1'000; ++i) {
    const auto decision =
        decide(domain::UpdateContact{ann, commands.patch(), {}}, state, std::nullopt);
    const auto* event = std::get_if<domain::Event>(&decision);
    if (event == nullptr) continue;
    state = evolve(std::move(state), std::get<domain::ContactUpdated>(*event), after(i));
    ASSERT_NO_FATAL_FAILURE(expect_round_trip(std::get<Contact>(state), random.bits()));
  }
}

TEST(ContactView, RefusesARowCutAnywhere) {
  const std::string row = render(sample(), 9).row;
  for (std::size_t length = 0; length < row.size(); ++length) {
    EXPECT_THROW(read_contact(row.substr(0, length)), CorruptRecord) << length;
  }
  const std::size_t fixed = row.find('{');
  for (std::size_t length = 0; length <= fixed; ++length) {
    EXPECT_THROW(read_document(row.substr(0, length)), CorruptRecord) << length;
  }
  EXPECT_THROW(read_contact(row + "x"), CorruptRecord);
}

TEST(ContactView, RefusesARowOfAnotherShape) {
  const std::string row = render(sample(), 9).row;
  const auto replaced = [&](std::string_view what, std::string_view with) {
    std::string other = row;
    return other.replace(other.find(what), what.size(), with);
  };
  std::string format = row;
  format[0] = 2;
  std::string json_at = row;
  json_at[2] = static_cast<char>(json_at[2] + 1);
  for (const std::string& other :
       {format, json_at, replaced("{\"id\"", "{\"ID\""), replaced("ann0", "ann-"),
        replaced("last_name", "lost_name"), replaced("\"company\":\"\"", "\"company\":12"),
        replaced("\"gender\":null", "\"gender\":true")}) {
    EXPECT_THROW(read_contact(other), CorruptRecord) << printable(other);
  }
  EXPECT_THROW(read_document(format), CorruptRecord);
}

TEST(ContactView, NeverCrashesOnADamagedRow) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(seed_note(seed));
  Random random{seed};
  const std::string whole = render(sample(), 9).row;
  for (int i = 0; i < 5'000; ++i) {
    std::string row = whole;
    row[random.below(row.size())] = static_cast<char>(random.below(256));
    try {
      const ContactView view = read_contact(row);
      EXPECT_FALSE(view.json().empty());
    } catch (const CorruptRecord& problem) {
      EXPECT_STRNE(problem.what(), "");
    }
  }
}

}  // namespace
}  // namespace contactd::projections
