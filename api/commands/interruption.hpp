#pragma once

#include <chrono>
#include <stdexcept>
#include <string>

// How a command that is told to stop comes to its end in good order.
namespace contactd::api {

// SIGINT or SIGTERM came; a sentence, behind what is to be said of it. The exit status is 128 and
// the signal's number, as shells have it.
struct Interrupted : std::runtime_error {
  explicit Interrupted(int by, const std::string& before = {});
  int signal;
};

// From here on the first SIGINT or SIGTERM is noted, for the loops that look for it; a second one
// ends the process at once. One that the process was started to ignore stays ignored.
void note_interruptions();

// Throws Interrupted if a signal was noted. Threads: any.
void end_if_interrupted();

// Sleeps for so long, unless there is one. Throws Interrupted. Threads: any.
void sleep_unless_interrupted(std::chrono::milliseconds time);

}  // namespace contactd::api
