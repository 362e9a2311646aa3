#include "base/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace ichigo {

FolderLock::FolderLock(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  descriptor_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  require(descriptor_ >= 0, "cannot open the folder ", folder.string(), ": ", std::strerror(errno));
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
  const int error = errno;
  ::close(descriptor_);
  require(error == EWOULDBLOCK, "cannot lock the folder ", folder.string(), ": ", std::strerror(error));
  fail(folder.string(), " is being written by another process: wait for its end, or name another folder");
}

FolderLock::~FolderLock() {
  ::close(descriptor_);
}

}  // namespace ichigo
