#pragma once

#include <streambuf>
#include <string>
#include <vector>

namespace contactd::api {

// A file that is read from its beginning to its end, or standard input. A read that fails throws
// std::system_error, and one that waits, as on a pipe, Interrupted: a stream with exceptions() for
// badbit lets both through, while std::ifstream would make them its end and wait on.
// A few bytes can always be put back.
class InputFile final : public std::streambuf {
 public:
  // `-` is standard input. Throws infra::Unavailable if it can't be opened.
  explicit InputFile(const std::string& file);
  ~InputFile() override;
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

 protected:
  int_type underflow() override;

 private:
  const int descriptor_;
  std::vector<char> bytes_;
  bool ended_ = false;
};

inline bool is_standard_input(const std::string& file) { return file == "-"; }

// As sentences name it.
inline std::string name_of_input(const std::string& file) {
  return is_standard_input(file) ? "standard input" : file;
}

}  // namespace contactd::api
