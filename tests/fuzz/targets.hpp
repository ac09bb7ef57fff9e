#pragma once

#include <string>
#include <string_view>
#include <vector>

// What is fed with bytes from nowhere. Each target takes anything, and stops the process if a rule
// that must hold for all inputs doesn't, with a sentence. libfuzzer.cpp makes a fuzzer of each;
// fuzz_test.cpp feeds them in `./dev test`.
namespace contactd::fuzz {

struct Target {
  std::string_view name;
  void (*run)(std::string_view input);
  std::vector<std::string> (*seeds)();  // inputs to start from
};

// A connection's bytes, through the guard and Beast. However they are cut into pieces, the same
// requests come of them; each is as the guard promises.
void http_request(std::string_view input);
std::vector<std::string> http_request_seeds();

// The body of a PATCH. What is taken can be decided, stored, read back, folded and rendered.
void patch_body(std::string_view input);
std::vector<std::string> patch_body_seeds();

// A record of either log. What can be read is written again to the same meaning.
void stored_event(std::string_view input);
std::vector<std::string> stored_event_seeds();

// A key or a value of the projections: read, or CorruptRecord.
void stored_row(std::string_view input);
std::vector<std::string> stored_row_seeds();

// A request target: path, query string, cursors, times; and If-Match.
void query_string(std::string_view input);
std::vector<std::string> query_string_seeds();

inline const std::vector<Target> targets = {
    {"http_request", http_request, http_request_seeds},
    {"patch_body", patch_body, patch_body_seeds},
    {"stored_event", stored_event, stored_event_seeds},
    {"stored_row", stored_row, stored_row_seeds},
    {"query_string", query_string, query_string_seeds},
};

// Stops the process with `rule` if it doesn't hold.
void require(bool holds, const char* rule);

// The contents of the files below the suite's folder or of the project's, sorted by path; none
// where it isn't there.
std::vector<std::string> files_of_suite(const std::string& name);
std::vector<std::string> files_below(const std::string& directory);

}  // namespace contactd::fuzz
