#include "infra/log.hpp"

#include <gtest/gtest.h>

namespace contactd::infra {
namespace {

TEST(RocksDbMessages, LoseTheKeysThatTheyShow) {
  const std::string key = "61636D6500616E6E406578616D706C652E636F6D";  // acme\0ann@example.com
  EXPECT_EQ(without_keys("AddFile: 1 12 900 '" + key + "' seq:0, type:1 .. '" + key + "'"),
            "AddFile: 1 12 900 '(a key)' seq:0, type:1 .. '(a key)'");
  EXPECT_EQ(without_keys(key), "(a key)");
  for (const std::string message :
       {"", "IO error: No space left on device: While appending to file: 000012.sst",
        "block checksum mismatch: stored = 1234567890, computed = 0987654321 in 000012.sst"}) {
    EXPECT_EQ(without_keys(message), message);
  }
}

}  // namespace
}  // namespace contactd::infra
