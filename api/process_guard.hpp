#pragma once

namespace contactd::api {

// What the process is to be before it opens anything:
// - its files are for its owner alone (umask);
// - standard input, output and error are open, if only at /dev/null: else the first files opened
//   take their numbers, and what is printed goes into them;
// - unless `core_dumps`, a crash leaves no core file, and no other process of the user may look
//   into this one: contact data and keys are in it.
// Call it once, before there are threads.
void guard_process(bool core_dumps);

}  // namespace contactd::api
