#include "api/commands/input_file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "api/commands/interruption.hpp"
#include "infra/errors.hpp"

namespace contactd::api {
namespace {

constexpr std::size_t read_bytes_at_once = 65'536;
constexpr std::size_t put_back_bytes = 8;
constexpr int input_look_interval_ms = 50;

int open_input(const std::string& file) {
  if (is_standard_input(file)) return STDIN_FILENO;
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor >= 0) return descriptor;
  throw infra::Unavailable("can't read " + file + ": " + std::strerror(errno));
}

}  // namespace

InputFile::InputFile(const std::string& file)
    : descriptor_(open_input(file)), bytes_(put_back_bytes + read_bytes_at_once) {}

InputFile::~InputFile() {
  if (descriptor_ != STDIN_FILENO) close(descriptor_);
}

InputFile::int_type InputFile::underflow() {
  if (ended_) return traits_type::eof();  // of a terminal there may be more after that
  const std::size_t kept = std::min(put_back_bytes, static_cast<std::size_t>(gptr() - eback()));
  char* const begin = bytes_.data() + put_back_bytes;
  if (kept > 0) std::memmove(begin - kept, gptr() - kept, kept);
  pollfd input{descriptor_, POLLIN, 0};
  ssize_t count = -1;
  do {
    end_if_interrupted();
    if (poll(&input, 1, input_look_interval_ms) <= 0) continue;  // or a signal came
    count = read(descriptor_, begin, read_bytes_at_once);
    if (count < 0 && errno != EINTR && errno != EAGAIN) {
      throw std::system_error{errno, std::generic_category()};
    }
  } while (count < 0);
  setg(begin - kept, begin, begin + count);
  ended_ = count == 0;
  return count == 0 ? traits_type::eof() : traits_type::to_int_type(*begin);
}

}  // namespace contactd::api
