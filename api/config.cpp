#include "api/config.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "api/commands/interruption.hpp"
#include "api/commands/printable.hpp"

namespace contactd::api {
namespace {

// In the order in which --help lists them.
constexpr void (*commands[])(CommandLine&) = {add_serve,   add_keys,   add_import, add_export,
                                              add_history, add_events, add_replay, add_rebuild,
                                              add_verify,  add_backup, add_restore};

// Looked at before main(), which opens it on /dev/null (process_guard.hpp).
const bool stdout_was_closed = fcntl(STDOUT_FILENO, F_GETFD) < 0;

// So that what a command prints there is known to be lost.
void refuse_what_is_printed() {
  const int unwritable = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (unwritable < 0) return;
  dup2(unwritable, STDOUT_FILENO);
  close(unwritable);
}

// CLI11 gives the flags of every command what the environment says, and checks it: a variable of
// `serve` that is wrong would end all others. But to commands that have a callback of this kind it
// does so once their part of the command line was read, which is if they were chosen.
void read_variables_if_chosen(CLI::App& app) {
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
    command->parse_complete_callback([] {});
    read_variables_if_chosen(*command);
  }
}

// The command that was chosen, as it is typed: "contactd keys create".
std::string chosen_command(const CLI::App& app) {
  std::string command = "contactd";
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    command += ' ' + at->get_name();
  }
  return command;
}

// The first line of what CLI11 says, as one sentence.
ExitNow usage_error(const CLI::App& app, const CLI::Error& error) {
  std::string sentence = error.what();
  sentence = sentence.substr(0, sentence.find('\n'));
  return {exit_usage, "contactd: " + printable(sentence) + " (" + chosen_command(app) +
                          " --help lists the flags)\n"};
}

int run(const Run& chosen) {
  try {
    return chosen();
  } catch (const UsageError& problem) {
    std::fprintf(stderr, "contactd: %s\n", printable(problem.what()).c_str());
    return exit_usage;
  } catch (const Interrupted& told) {
    std::fprintf(stderr, "contactd: %s\n", printable(told.what()).c_str());
    return exit_by_signal + told.signal;
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "contactd: %s\n", printable(problem.what()).c_str());
    return exit_failed;
  }
}

// What to say where a command has to be named and there is another word, a flag, or nothing.
// `of` is what was named before it, a command that has commands of its own; or empty.
std::optional<std::string> missing_command(const CLI::App& app, const std::string& of,
                                           std::span<const char* const> words) {
  std::string names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!words.empty() && command->check_name(words.front())) {
      return missing_command(*command, command->get_name() + ' ', words.subspan(1));
    }
    names += (names.empty() ? "" : ", ") + command->get_name();
  }
  if (names.empty()) return std::nullopt;
  if (words.empty()) {
    return (of.empty() ? "a command is missing" : of + "lacks a command") + "; there are " + names;
  }
  const std::string word = words.front();
  if (word.starts_with('-')) {
    return "there is no flag '" + of + word + "'; name the command before its flags; there are " +
           names;
  }
  return "there is no command '" + of + word + "'; there are " + names;
}

// The first `--flag=` that has nothing behind the sign, such as an unset variable: CLI11 would take
// the next argument for its value.
std::optional<std::string> flag_without_value(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument{argv[i]};
    if (argument.starts_with("--") && argument.find('=') == argument.size() - 1) {
      return std::string{argument};
    }
  }
  return std::nullopt;
}

// The first whole number that begins with a zero, by a flag, a variable or the config file: CLI11
// reads it as octal, and nobody means that.
std::optional<std::string> octal_number(const CLI::App& app) {
  for (const CLI::App* command : app.get_subcommands()) {
    if (auto found = octal_number(*command)) return found;
  }
  for (const CLI::Option* option : app.get_options()) {
    const std::string type = option->get_type_name();
    if (!type.starts_with("UINT") && !type.starts_with("INT")) continue;
    for (const std::string& value : option->results()) {
      const std::size_t sign = value.starts_with('-') || value.starts_with('+') ? 1 : 0;
      if (value.size() > sign + 1 && value[sign] == '0') return option->get_name() + ' ' + value;
    }
  }
  return std::nullopt;
}

}  // namespace

std::variant<Run, ExitNow> read_config(int argc, const char* const* argv) {
  CLI::App app{"contactd: contacts over REST, on a durable log of events"};
  app.set_version_flag("--version", "contactd " CONTACTD_VERSION);
  app.require_subcommand(1);
  // A server has little to print, and more to do.
  if (stdout_was_closed && (argc < 2 || std::string_view{argv[1]} != "serve")) {
    refuse_what_is_printed();
  }
  CommandLine line{app, {}};
  for (const auto add : commands) add(line);
  read_variables_if_chosen(app);
  if (const auto flag = flag_without_value(argc, argv)) {
    return ExitNow{exit_usage, "contactd: " + *flag + " has no value; give one, or leave it out\n"};
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    std::ostringstream output;
    app.exit(done, output, output);
    return ExitNow{exit_done, output.str()};
  } catch (const CLI::Error& error) {
    const std::span<const char* const> words{argv, static_cast<std::size_t>(argc)};
    if (const auto missing = missing_command(app, "", words.subspan(argc > 0 ? 1 : 0))) {
      return ExitNow{exit_usage, "contactd: " + printable(*missing) + "\n"};
    }
    return usage_error(app, error);
  } catch (const UsageError& error) {
    return ExitNow{exit_usage, "contactd: " + printable(error.what()) + "\n"};
  }
  if (const auto number = octal_number(app)) {
    return ExitNow{exit_usage, "contactd: " + *number +
                                   " begins with a zero; write a decimal number without it\n"};
  }
  return Run{[chosen = line.chosen] { return run(chosen); }};
}

}  // namespace contactd::api
