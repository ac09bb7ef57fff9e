#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <string_view>

// Contact data and keys must stand in no log, no metric and no error. What the tests of a program
// send is remembered here, and looked for at the end in all that its servers have said.
// Threads: any.
namespace contactd::test {

// Remembers `text`, which must be nowhere; what is too short to be told from chance is left out.
void add_canary(std::string_view text);
// The same of every string value in `json`, at whatever depth.
void add_canaries_of(const boost::json::value& json);

// A failure for each that stands in `text`, which is called `what`.
void expect_no_canary(std::string_view text, std::string_view what);

// How many there are, so that a test can say that there were some.
std::size_t canary_count();

}  // namespace contactd::test
