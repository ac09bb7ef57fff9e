#include "infra/directory_lock.hpp"

#include <fcntl.h>
#include <unistd.h>

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

}  // namespace

bool is_written_to(const std::filesystem::path& directory) {
  return has_conflict(directory, F_RDLCK);
}

bool is_in_use(const std::filesystem::path& directory) { return has_conflict(directory, F_WRLCK); }

ReadLock::ReadLock(const std::filesystem::path& directory) : descriptor_(open_lock(directory)) {
  if (descriptor_ < 0) return;
  struct flock lock = whole_file(F_RDLCK);
  // Of this descriptor, not of the process: closing another one keeps it.
  if (fcntl(descriptor_, F_OFD_SETLK, &lock) == 0) return;
  close(descriptor_);
  throw StoreUnavailable("another contactd runs on " + directory.string() + "; stop it first");
}

ReadLock::~ReadLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace contactd::infra
