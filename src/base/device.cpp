#include "base/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <thread>

#if defined(__GLIBC__)
#include <malloc.h>
#endif
#if defined(_OPENMP)
#include <omp.h>
#endif

#include "base/error.h"

namespace ichigo {

c10::Device parse_device(const std::string& name) {
  if (name == "auto") return at::hasCUDA() ? c10::Device("cuda") : c10::Device("cpu");
  if (name != "cpu" && name != "cuda" && !name.starts_with("cuda:")) {
    fail("unknown device \"", name, "\": use auto, cpu, cuda or cuda:N");
  }
  require(name == "cpu" || at::hasCUDA(), "device \"", name, "\" asked for, but this libtorch sees no CUDA GPU; use cpu");
  return c10::Device(name);
}

c10::ScalarType fast_dtype(const c10::Device& device) {
  if (device.is_cuda()) return c10::kBFloat16;
#if defined(__x86_64__)
  __builtin_cpu_init();
  // "avx512bf16" implies hardware bf16 dot products; AMX machines have it too.
  if (__builtin_cpu_supports("avx512bf16")) return c10::kBFloat16;
#endif
  return c10::kFloat;
}

c10::ScalarType parse_dtype(const std::string& name, const c10::Device& device) {
  if (name == "auto") return fast_dtype(device);
  if (name == "float32") return c10::kFloat;
  if (name == "bfloat16") return c10::kBFloat16;
  fail("unknown type \"", name, "\": use auto, float32 or bfloat16");
}

void set_threads(int threads) {
  require(threads >= 0, "threads must be 0 (all cores) or more, not ", threads);
  if (threads == 0) threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  at::set_num_threads(threads);
#if defined(_OPENMP)
  omp_set_num_threads(threads);  // libtorch may have brought an OpenMP of its own
#endif
}

void keep_freed_memory() {
#if defined(__GLIBC__)
  ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
  ::mallopt(M_TRIM_THRESHOLD, -1);
#endif
}

}  // namespace ichigo
