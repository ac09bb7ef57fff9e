#pragma once

#include <functional>
#include <stdexcept>
#include <string>

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11 calls it so
class App;
}

// The subcommands of contactd: a file of this folder each, which adds its flags to the command line
// and says what is to be done once they were read. config.cpp has the table of them.
namespace contactd::api {

// What a command ends with.
inline constexpr int exit_done = 0;
inline constexpr int exit_failed = 1;       // it couldn't, or it found what it was to look for: no
inline constexpr int exit_usage = 2;        // the command line or the configuration is wrong
inline constexpr int exit_unproven = 3;     // what it was to look at couldn't be looked at
inline constexpr int exit_by_signal = 128;  // and the signal's number

// The flags contradict each other, or what they name can't be used; a sentence, without a full
// stop. Thrown while the command line is read, or once it is known what it is
// about. Is exit_usage.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A command that was chosen, with its flags: runs it and returns the process's exit status. What it
// throws is told in a sentence on standard error, and is exit_failed. Called once, from main,
// before other threads run.
using Run = std::function<int()>;

struct CommandLine {
  CLI::App& app;
  Run chosen;  // set while the command line is read
};

void add_backup(CommandLine& line);
void add_events(CommandLine& line);
void add_export(CommandLine& line);
void add_history(CommandLine& line);
void add_import(CommandLine& line);
void add_keys(CommandLine& line);
void add_rebuild(CommandLine& line);
void add_replay(CommandLine& line);
void add_restore(CommandLine& line);
void add_serve(CommandLine& line);
void add_verify(CommandLine& line);

}  // namespace contactd::api
