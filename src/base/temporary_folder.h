// A folder of its own under the system's temporary one, gone with the object.
#pragma once
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "base/error.h"

namespace ichigo {

class TemporaryFolder {
 public:
  // Throws Error when it cannot be made.
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "ichigo-XXXXXX").string();
    const bool made = ::mkdtemp(name.data()) != nullptr;
    require(made, "cannot make a temporary folder ", name, ": ", std::strerror(errno));
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace ichigo
