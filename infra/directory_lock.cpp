#include "infra/directory_lock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "infra/errors.hpp"

namespace contactd::infra {
namespace {

int open_lock(const std::filesystem::path& directory) {
  return open((directory / "LOCK").c_str(), O_RDONLY | O_CLOEXEC);
}

struct flock whole_file(short type) {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

// Whether a lock of that type can't be had.
bool has_conflict(const std::filesystem::path& directory, short type) {
  const int descriptor = open_lock(directory);
  if (descriptor < 0) return false;
  struct flock lock = whole_file(type);
  const bool held = fcntl(descriptor, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  close(descriptor);
  return held;
}

[[noreturn]] void refuse_second(const std::filesystem::path& directory) {
  throw StoreUnavailable("another contactd runs on " + directory.string() + "; stop it first");
}

}  // namespace

bool is_written_to(const std::filesystem::path& directory) {
  return has_conflict(directory, F_RDLCK);
}

bool is_in_use(const std::filesystem::path& directory) { return has_conflict(directory, F_WRLCK); }

WriteLock::WriteLock(const std::filesystem::path& directory)
    : descriptor_(open((directory / "LOCK").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
  struct flock lock = whole_file(F_WRLCK);
  if (descriptor_ >= 0 && fcntl(descriptor_, F_OFD_SETLK, &lock) == 0) return;
  const int error = errno;
  if (descriptor_ >= 0) close(descriptor_);
  if (descriptor_ >= 0 && (error == EAGAIN || error == EACCES)) refuse_second(directory);
  throw StoreUnavailable("can't lock " + (directory / "LOCK").string() + ": " +
                         std::strerror(error) +
                         "; check the disk, and run contactd as the user "
                         "whose files they are");
}

WriteLock::~WriteLock() { close(descriptor_); }

ReadLock::ReadLock(const std::filesystem::path& directory) : descriptor_(open_lock(directory)) {
  if (descriptor_ < 0) return;
  struct flock lock = whole_file(F_RDLCK);
  // Of this descriptor, not of the process: closing another one keeps it.
  if (fcntl(descriptor_, F_OFD_SETLK, &lock) == 0) return;
  close(descriptor_);
  refuse_second(directory);
}

ReadLock::~ReadLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace contactd::infra
