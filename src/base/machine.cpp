#include "base/machine.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <string>

#include "base/clones.h"
#include "base/device.h"
#include "base/stopwatch.h"

namespace ichigo {
namespace {

// The shortest of the runs of `work` within 0.4 s (one at least), in seconds.
template <typename Work>
double shortest(const Work& work) {
  double best = 1e30, spent = 0;
  do {
    Stopwatch watch;
    work();
    const double seconds = watch.lap() / 1000;
    best = std::min(best, seconds);
    spent += seconds;
  } while (spent < 0.4);
  return best;
}

ICHIGO_CLONES uint64_t sum(const uint64_t* from, int64_t count) {
  uint64_t sums[32] = {};
  for (int64_t i = 0; i < count; i += 32) {
    for (int64_t j = 0; j < 32; ++j) sums[j] += from[i + j];
  }
  uint64_t total = 0;
  for (const uint64_t part : sums) total += part;
  return total;
}

// The figure in kB behind `key` in one of the system's text files.
int64_t kilobytes(const char* path, const std::string& key) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    int64_t value = 0;
    if (word == key && file >> value) return value * 1024;
  }
  return 0;
}

}  // namespace

double measure_matrix_peak(const c10::Device& device) {
  const int64_t size = device.is_cuda() ? 8192 : 2048;
  const auto options = at::TensorOptions().dtype(fast_dtype(device)).device(device);
  const auto a = at::randn({size, size}).to(options), b = at::randn({size, size}).to(options);
  // A GPU is waited for by reading a number of the result.
  const auto product = [&] { return at::mm(a, b).view(-1).slice(0, 0, 1).item<float>(); };
  product();
  const auto count = static_cast<double>(size);
  return 2 * count * count * count / shortest(product) / 1e9;
}

double measure_memory_bandwidth(int64_t bytes) {
  constexpr int64_t kPart = 1 << 12;  // numbers
  const int64_t parts = std::clamp<int64_t>(bytes / 8 / kPart, 1, (int64_t{1} << 27) / kPart);
  const at::Tensor memory = at::ones({parts * kPart}, at::kLong);
  const auto* from = reinterpret_cast<const uint64_t*>(memory.const_data_ptr<int64_t>());
  std::atomic<uint64_t> total = 0;  // so that the sums are needed
  const double seconds = shortest([&] {
    at::parallel_for(0, parts, 1,
                     [&](int64_t first, int64_t last) { total += sum(from + first * kPart, (last - first) * kPart); });
  });
  return total == 0 ? 0 : static_cast<double>(memory.nbytes()) / seconds / 1e9;
}

int64_t available_memory() {
  return kilobytes("/proc/meminfo", "MemAvailable:");
}

int64_t resident_memory() {
  return kilobytes("/proc/self/status", "VmRSS:");
}

}  // namespace ichigo
