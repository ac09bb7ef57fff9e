#include "domain/email_address.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace contactd::domain {
namespace {

struct AddressRow {
  std::string text;
  std::string reads;  // empty: refused
};

std::string repeated(std::size_t count, char c) { return std::string(count, c); }

void expect_rows(const std::vector<AddressRow>& rows) {
  for (const AddressRow& row : rows) {
    const auto email = EmailAddress::parse(row.text);
    EXPECT_EQ(email ? email->str() : "", row.reads) << '"' << row.text << '"';
  }
}

TEST(EmailAddress, ReadsWhatAnEmailInputAccepts) {
  expect_rows({
      {"ann@x.io", "ann@x.io"},
      {"a@b", "a@b"},
      {"ann@localhost", "ann@localhost"},
      {"1@2", "1@2"},
      {"ann.lee+news@mail.example.com", "ann.lee+news@mail.example.com"},
      {".ann@x.io", ".ann@x.io"},
      {"ann.@x.io", "ann.@x.io"},
      {"a..b@x.io", "a..b@x.io"},
      {"-@x.io", "-@x.io"},
      {"!#$%&'*+/=?^_`{|}~-@x.io", "!#$%&'*+/=?^_`{|}~-@x.io"},
      {"ann@a-b.c--d.io", "ann@a-b.c--d.io"},
      {"ann@123.456.1.2", "ann@123.456.1.2"},
      {"ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"},
  });
}

TEST(EmailAddress, LowercasesAsciiLettersAndNothingElse) {
  expect_rows({{"Ann.LEE@X.Io", "ann.lee@x.io"}, {"A[Z@x.io", ""}, {"[@`{@x.io", ""}});
}

TEST(EmailAddress, RefusesWhatAnEmailInputRefuses) {
  const std::vector<std::string> texts = {"",
                                          "@",
                                          "ann",
                                          "ann@",
                                          "@x.io",
                                          "ann@@x.io",
                                          "ann@x@y.io",
                                          "ann lee@x.io",
                                          " ann@x.io",
                                          "ann@x.io ",
                                          "ann@x.io\n",
                                          "ann@x .io",
                                          "ann@.x.io",
                                          "ann@x.io.",
                                          "ann@x..io",
                                          "ann@-x.io",
                                          "ann@x-.io",
                                          "ann@x.-io",
                                          "ann@x.io-",
                                          "ann@x_y.io",
                                          "ann@[127.0.0.1]",
                                          "\"ann\"@x.io",
                                          "ann(c)@x.io",
                                          "ann,b@x.io",
                                          "ann;b@x.io",
                                          "ann:b@x.io",
                                          "ann<b>@x.io",
                                          "ann\\b@x.io",
                                          "änn@x.io",
                                          "ann@bücher.example",
                                          "ann@x.io,bob@x.io",
                                          "mailto:ann@x.io@",
                                          std::string("an\0n@x.io", 9),
                                          std::string("ann@x.io\0", 9),
                                          "ann@x\x7f.io",
                                          "\x80@x.io"};
  for (const std::string& text : texts) {
    EXPECT_FALSE(EmailAddress::parse(text).has_value()) << '"' << text << '"';
  }
}

TEST(EmailAddress, BoundsALabelAt63Characters) {
  expect_rows({
      {"a@" + repeated(63, 'b'), "a@" + repeated(63, 'b')},
      {"a@" + repeated(64, 'b'), ""},
      {"a@x." + repeated(63, 'b') + ".io", "a@x." + repeated(63, 'b') + ".io"},
      {"a@x." + repeated(64, 'b') + ".io", ""},
      {"a@x." + repeated(61, '-') + "b", ""},
      {"a@b" + repeated(61, '-') + "b", "a@b" + repeated(61, '-') + "b"},
      {"a@b" + repeated(62, '-') + "b", ""},
  });
}

TEST(EmailAddress, BoundsTheWholeAt254Octets) {
  const std::string domain = "@x.io";
  const std::string longest = repeated(254 - domain.size(), 'a') + domain;
  ASSERT_EQ(longest.size(), EmailAddress::octets_max);
  expect_rows({{longest, longest}, {"a" + longest, ""}});
}

}  // namespace
}  // namespace contactd::domain
