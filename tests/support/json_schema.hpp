#pragma once

#include <boost/json/value.hpp>
#include <memory>
#include <string>
#include <vector>

namespace contactd::test {

// A JSON Schema, read once and checked against many values. References (`$ref`) must be resolved
// before: see resolve_references().
// Threads: one at a time.
class JsonSchema {
 public:
  explicit JsonSchema(const boost::json::value& schema);
  ~JsonSchema();

  // What is wrong with `value`, a sentence each; nothing if it satisfies the schema.
  std::vector<std::string> complaints_about(const boost::json::value& value) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// `node` with every local reference (`{"$ref": "#/..."}`) replaced by what it names in `document`.
// Throws std::runtime_error on a reference to elsewhere, to nothing, or to itself.
boost::json::value resolve_references(const boost::json::value& document,
                                      const boost::json::value& node);

}  // namespace contactd::test
