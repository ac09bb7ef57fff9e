#include "infra/durable_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "infra/errors.hpp"

namespace contactd::infra {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, int error) {
  throw StoreUnavailable("can't write " + path.string() + ": " + std::strerror(error) +
                         "; check the disk and the permissions");
}

}  // namespace

void sync_to_disk(const std::filesystem::path& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = descriptor >= 0 && fsync(descriptor) == 0;
  const int error = errno;
  if (descriptor >= 0) close(descriptor);
  if (!synced) fail(path, error);
}

void replace_durably(const std::filesystem::path& file, std::string_view text) {
  const std::filesystem::path written = file.string() + ".new";
  errno = 0;
  std::ofstream stream{written, std::ios::binary | std::ios::trunc};
  stream << text;
  stream.close();
  if (!stream) fail(written, errno == 0 ? EIO : errno);
  sync_to_disk(written);
  std::error_code ec;
  std::filesystem::rename(written, file, ec);
  if (ec) fail(file, ec.value());
  sync_to_disk(file.parent_path());
}

}  // namespace contactd::infra
