#include "domain/sha256.hpp"

#include <gtest/gtest.h>

namespace contactd::domain {
namespace {

TEST(Sha256, IsTheStandards) {
  // FIPS 180-4's examples.
  EXPECT_EQ(to_hex(sha256("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_NE(sha256(std::string_view("a\0b", 3)), sha256("a"));
}

TEST(Sha256, OfTwoTextsIsThatOfOneBehindTheOther) {
  EXPECT_EQ(sha256("a", "bc"), sha256("abc"));
  EXPECT_EQ(sha256("", "abc"), sha256("abc"));
}

}  // namespace
}  // namespace contactd::domain
