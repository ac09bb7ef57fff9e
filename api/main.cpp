#include <cstdio>

#include "api/config.hpp"
#include "api/process_guard.hpp"

namespace {

// What was printed may be all that there is of it, such as a new key: lost, it is a failure.
int printed(int status) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  std::fputs("contactd: can't write to standard output; what was to be printed is lost\n", stderr);
  return status == 0 ? 1 : status;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace contactd::api;
  guard_files();
  allow_many_descriptors();
  const auto config = read_config(argc, argv);
  if (const auto* exit_now = std::get_if<ExitNow>(&config)) {
    std::fputs(exit_now->output.c_str(), exit_now->status == 0 ? stdout : stderr);
    return printed(exit_now->status);
  }
  return printed(std::get<Run>(config)());
}
