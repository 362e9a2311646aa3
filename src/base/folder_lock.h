// A folder that one process at a time writes into. Nothing is left behind: the lock ends with the process.
#pragma once
#include <filesystem>

namespace ichigo {

class FolderLock {
 public:
  // Creates the folder when it is missing. Throws Error when another process holds it.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace ichigo
