#pragma once

namespace contactd::api {

// What the process is to be before it opens anything: the files that it makes are for its owner
// alone (umask), for they have contact data and keys in them; and standard input, output and error
// are open, if only at /dev/null: else the first files opened take their numbers, and what is
// printed goes into them. Call it once, before there are threads.
void guard_files();

// Each connection is a descriptor, and so is each table of a log, whoever reads it; the usual limit
// is far below what may be. Where it can't be raised it stays as it is.
void allow_many_descriptors();

// A crash leaves no core file, and no other process of the user may look into this one: contact
// data and keys are in it. Call it before there are threads.
void forbid_core_dumps();

}  // namespace contactd::api
