// A file that appears under its name whole or not at all: written beside it, fsynced, then renamed.
#pragma once
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace ichigo {

class AtomicFile {
 public:
  // Opens PATH.part for writing (its folder is created when missing).
  explicit AtomicFile(const std::filesystem::path& path);
  // Removes the partial file unless commit() was called.
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Throws Error naming the file and the reason (a full disk, say).
  void write(const void* data, size_t size);
  void write(std::string_view text) { write(text.data(), text.size()); }
  // Flushes to the disk and renames to the final name.
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path partial_;
  int descriptor_ = -1;
};

// Whether both are there and the same file or folder, whatever they are called.
bool same_file(const std::filesystem::path& a, const std::filesystem::path& b);
// Replaces the file with this text, atomically.
void write_file(const std::filesystem::path& path, std::string_view text);
// The whole file as text. Throws Error when it cannot be read.
std::string read_file(const std::filesystem::path& path);

}  // namespace ichigo
