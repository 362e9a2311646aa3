// What the fuzzers share: the bytes as a file, and what a reader may do with a broken one.
#pragma once
#include <sanitizer/allocator_interface.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
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
void expect_error_or_success(Action action) {
  try {
    action();
  } catch (const Error&) {
  }
}

inline std::atomic<size_t> largest_allocation = SIZE_MAX;  // bytes

inline void check_allocation(const volatile void* /*at*/, size_t size) {
  const size_t largest = largest_allocation.exchange(SIZE_MAX);  // none counts while this one is reported
  if (size > largest) std::fprintf(stderr, "an allocation of %zu bytes, where %zu are allowed\n", size, largest);
  must(size <= largest);
  largest_allocation = largest;
}

// Calls what reads an input of `size` bytes. No allocation may be larger than four times that and `fixed`, the bytes
// that the reader takes at most for tables and buffers of its own.
template <typename Action>
int read_input(size_t size, size_t fixed, Action read) {
  static const int watched = __sanitizer_install_malloc_and_free_hooks(check_allocation, [](const volatile void*) {});
  must(watched > 0);
  largest_allocation = 4 * size + fixed;
  expect_error_or_success(read);
  largest_allocation = SIZE_MAX;
  return 0;
}

}  // namespace ichigo::fuzz
