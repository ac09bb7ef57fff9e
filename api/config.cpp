#include "api/config.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>

namespace contactd::api {
namespace {

// In the order in which --help lists them.
constexpr void (*commands[])(CommandLine&) = {add_serve,   add_keys,   add_import, add_export,
                                              add_history, add_events, add_replay, add_rebuild,
                                              add_verify,  add_backup, add_restore};

// The first line of what CLI11 says, as one sentence.
ExitNow usage_error(const CLI::Error& error) {
  std::string sentence = error.what();
  sentence = sentence.substr(0, sentence.find('\n'));
  return {exit_usage, "contactd: " + sentence + " (contactd --help lists the flags)\n"};
}

int run(const Run& chosen) {
  try {
    return chosen();
  } catch (const UsageError& problem) {
    std::fprintf(stderr, "contactd: %s\n", problem.what());
    return exit_usage;
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "contactd: %s\n", problem.what());
    return exit_failed;
  }
}

}  // namespace

std::variant<Run, ExitNow> read_config(int argc, const char* const* argv) {
  CLI::App app{"contactd: contacts over REST, on a durable log of events"};
  app.set_version_flag("--version", "contactd " CONTACTD_VERSION);
  app.require_subcommand(1);
  CommandLine line{app, {}};
  for (const auto add : commands) add(line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    std::ostringstream output;
    app.exit(done, output, output);
    return ExitNow{exit_done, output.str()};
  } catch (const CLI::Error& error) {
    return usage_error(error);
  } catch (const UsageError& error) {
    return ExitNow{exit_usage, "contactd: " + std::string{error.what()} + "\n"};
  }
  return Run{[chosen = line.chosen] { return run(chosen); }};
}

}  // namespace contactd::api
