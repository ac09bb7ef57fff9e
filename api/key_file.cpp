#include "api/key_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "infra/durable_file.hpp"
#include "infra/errors.hpp"
#include "infra/log.hpp"
#include "infra/random.hpp"

namespace contactd::api {
namespace {

// Under its name there is all of it or nothing, also after a loss of power.
std::string make_key(const std::filesystem::path& file, std::string_view what, std::size_t length) {
  const std::string key = infra::random_text(length);
  const std::string line = key + '\n';
  const std::string unfinished = file.string() + ".new";
  const int descriptor = open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const bool written =
      descriptor >= 0 &&
      write(descriptor, line.data(), line.size()) == static_cast<ssize_t>(line.size()) &&
      fsync(descriptor) == 0 && std::rename(unfinished.c_str(), file.c_str()) == 0;
  const int error = errno;
  if (descriptor >= 0) close(descriptor);
  if (!written) {
    throw infra::Unavailable("can't write " + std::string{what} + " to " + file.string() + ": " +
                             std::strerror(error));
  }
  infra::sync_to_disk(file.parent_path());
  spdlog::info("made {} in {}", what, file.string());
  return key;
}

}  // namespace

std::string read_key(const std::filesystem::path& file, std::string_view what) {
  errno = 0;
  std::string key = first_line_of(file);
  if (key.empty()) {
    const std::string why = errno == 0 ? "it is empty" : std::strerror(errno);
    throw infra::Unavailable("can't read " + std::string{what} + " from the first line of " +
                             file.string() + ": " + why);
  }
  warn_of_readable(file, what);
  return key;
}

std::string read_or_make_key(const std::filesystem::path& file, std::string_view what,
                             std::size_t length) {
  if (!std::filesystem::exists(file)) return make_key(file, what, length);
  return read_key(file, what);
}

std::string first_line_of(const std::filesystem::path& file) {
  std::ifstream stream{file};
  std::string line;
  std::getline(stream, line);
  if (line.ends_with('\r')) line.pop_back();  // an editor's that ends lines with two characters
  return line;
}

void warn_of_readable(const std::filesystem::path& file, std::string_view what) {
  struct stat found{};
  if (stat(file.c_str(), &found) != 0 || (found.st_mode & (S_IRGRP | S_IROTH)) == 0) return;
  spdlog::warn("{} in {} can be read by others than its owner; make its mode 0600", what,
               file.string());
}

}  // namespace contactd::api
