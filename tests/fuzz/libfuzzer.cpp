#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/fuzz/targets.hpp"

// The target FUZZ_TARGET as libFuzzer wants it. Where CONTACTD_FUZZ_SEEDS names a directory, the
// target's seeds are written there first.

namespace {

const contactd::fuzz::Target& target() {
  for (const auto& one : contactd::fuzz::targets) {
    if (one.name == FUZZ_TARGET) return one;
  }
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  const char* const directory = std::getenv("CONTACTD_FUZZ_SEEDS");
  if (directory == nullptr) return 0;
  std::size_t count = 0;
  for (const std::string& seed : target().seeds()) {
    std::ofstream file{std::filesystem::path{directory} / std::to_string(count++),
                       std::ios::binary};
    file << seed;
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  target().run({reinterpret_cast<const char*>(data), size});
  return 0;
}
