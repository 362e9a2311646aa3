#include "base/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/mapped_file.h"

namespace ichigo {

AtomicFile::AtomicFile(const std::filesystem::path& path) : path_(path), partial_(path.string() + ".part") {
  std::error_code error;
  const auto kind = std::filesystem::status(path, error).type();
  require(kind != std::filesystem::file_type::directory, path.string(), " is a folder: name a file to write");
  require(kind == std::filesystem::file_type::regular || kind == std::filesystem::file_type::not_found ||
              kind == std::filesystem::file_type::none,
          path.string(), " is no regular file: what is written must replace a file as a whole");
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  descriptor_ = ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  require(descriptor_ >= 0, "cannot write ", partial_.string(), ": ", std::strerror(errno));
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(partial_.c_str());
}

void AtomicFile::write(const void* data, size_t size) {
  const char* next = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(descriptor_, next, size);
    if (written < 0 && errno == EINTR) continue;
    require(written > 0, "cannot write ", path_.string(), ": ", std::strerror(errno), "; nothing was changed");
    next += written;
    size -= static_cast<size_t>(written);
  }
}

void AtomicFile::commit() {
  // The calls stand alone: an error's parts may be evaluated before its condition.
  const bool synced = ::fsync(descriptor_) == 0;
  require(synced, "cannot write ", path_.string(), ": ", std::strerror(errno), "; nothing was changed");
  const bool renamed = ::rename(partial_.c_str(), path_.c_str()) == 0;
  require(renamed, "cannot rename ", partial_.string(), " to ", path_.string(), ": ", std::strerror(errno));
  ::close(descriptor_);
  descriptor_ = -1;
}

bool same_file(const std::filesystem::path& a, const std::filesystem::path& b) {
  std::error_code error;
  return std::filesystem::equivalent(a, b, error);
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

std::string read_file(const std::filesystem::path& path) {
  const MappedFile file(path);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

}  // namespace ichigo
