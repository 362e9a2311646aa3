// What the fuzzers share: the bytes as a file, and what a reader may do with a broken one.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/error.h"

// What is freed is watched until 2 MiB more are, which is longer than an execution lasts and stays in the cache, as the
// 256 MiB by default do not; and memory is not given back: twice as many executions.
extern "C" const char* __asan_default_options() {
  return "quarantine_size_mb=2:allocator_release_to_os_interval_ms=-1";
}

namespace ichigo::fuzz {

// What cannot be blamed on the input.
inline void must(bool good) {
  if (!good) std::abort();
}

// A file in memory that is written anew for each input.
class InputFile {
 public:
  explicit InputFile(const char* name) : descriptor_(::memfd_create(name, MFD_CLOEXEC)) {
    must(descriptor_ >= 0);
    path_ = "/proc/self/fd/" + std::to_string(descriptor_);
  }
  const std::filesystem::path& write(const uint8_t* data, size_t size) {
    must(::ftruncate(descriptor_, 0) == 0 && ::pwrite(descriptor_, data, size, 0) == static_cast<ssize_t>(size));
    return path_;
  }

 private:
  int descriptor_;
  std::filesystem::path path_;
};

// A reader either succeeds or throws Error; anything else ends the fuzzer.
template <typename Action>
int expect_error_or_success(Action action) {
  try {
    action();
  } catch (const Error&) {
  }
  return 0;
}

}  // namespace ichigo::fuzz
