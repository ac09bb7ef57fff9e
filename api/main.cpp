#include <cstdio>

#include "api/config.hpp"

int main(int argc, char** argv) {
  using namespace contactd::api;
  const auto config = read_config(argc, argv);
  if (const auto* exit_now = std::get_if<ExitNow>(&config)) {
    std::fputs(exit_now->output.c_str(), exit_now->status == 0 ? stdout : stderr);
    return exit_now->status;
  }
  return std::get<Run>(config)();
}
