#include "api/key_file.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "infra/durable_file.hpp"
#include "infra/errors.hpp"
#include "infra/log.hpp"
#include "infra/random.hpp"

namespace contactd::api {
namespace {

// For the owner's eyes alone, as all that the server makes (process_guard.hpp).
std::string make_key(const std::filesystem::path& file, std::string_view what, std::size_t length) {
  const std::string key = infra::random_text(length);
  infra::replace_durably(file, key + '\n');
  spdlog::info("made {} in {}", what, file.string());
  return key;
}

// And what to do.
std::string why_unread(const std::filesystem::path& file, int error) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored)) return "it is a directory; give a file there";
  if (error == 0) return "it is empty; write it there, or bring the file back from a backup";
  return std::string{std::strerror(error)} +
         "; make it a file that the user can read whom contactd runs as";
}

}  // namespace

std::string read_key(const std::filesystem::path& file, std::string_view what) {
  errno = 0;
  std::string key = first_line_of(file);
  if (key.empty()) {
    throw infra::Unavailable("can't read " + std::string{what} + " from the first line of " +
                             file.string() + ": " + why_unread(file, errno));
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
