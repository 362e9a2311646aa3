#include "base/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <thread>

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

void set_threads(int threads) {
  require(threads >= 0, "threads must be 0 (all cores) or more, not ", threads);
  if (threads == 0) threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  at::set_num_threads(threads);
}

}  // namespace ichigo
