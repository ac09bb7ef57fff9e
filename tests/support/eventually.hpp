#pragma once

#include <chrono>
#include <thread>

namespace contactd::test {

// Looks at `condition` again and again until it holds. Returns false if it hasn't within `limit`.
template <class Condition>
bool eventually(const Condition& condition, std::chrono::milliseconds limit) {
  // What is waited for needs the processor too.
  constexpr std::chrono::milliseconds between_looks{20};
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(between_looks);
  }
  return true;
}

}  // namespace contactd::test
