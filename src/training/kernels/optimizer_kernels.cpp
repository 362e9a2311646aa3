#include "training/kernels/optimizer_kernels.h"

#include <bit>
#include <cmath>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define ICHIGO_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define ICHIGO_CLONES
#endif

namespace ichigo::kernels {

ICHIGO_CLONES void adamw(int64_t count, const AdamWStep& step, const float* __restrict gradient,
                         float* __restrict master, float* __restrict first, float* __restrict second) {
  const AdamWStep s = step;
  for (int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] * s.gradient_scale;
    const float m = first[i] + (g - first[i]) * (1.0F - s.beta1);
    const float v = second[i] * s.beta2 + g * g * (1.0F - s.beta2);
    first[i] = m;
    second[i] = v;
    master[i] = master[i] * s.decay - s.step_size * m / (std::sqrt(v) / s.second_correction + s.epsilon);
  }
}

// The sign of zero is zero: what has no gradient does not move.
ICHIGO_CLONES void lion(int64_t count, const LionStep& step, const float* __restrict gradient, float* __restrict master,
                        float* __restrict first) {
  const LionStep s = step;
  for (int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] * s.gradient_scale;
    const float update = first[i] * s.beta1 + g * (1.0F - s.beta1);
    const float sign = static_cast<float>(update > 0) - static_cast<float>(update < 0);
    first[i] = first[i] * s.beta2 + g * (1.0F - s.beta2);
    master[i] = master[i] * s.decay - s.learning_rate * sign;
  }
}

ICHIGO_CLONES void momentum(int64_t count, const MomentumStep& step, const float* __restrict gradient,
                            float* __restrict master, float* __restrict first) {
  const MomentumStep s = step;
  for (int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] * s.gradient_scale;
    const float m = first[i] + (g - first[i]) * (1.0F - s.beta1);
    first[i] = m;
    master[i] = master[i] * s.decay - s.step_size * m;
  }
}

// Sixteen partial sums, so that the order of additions is the same whatever the width of the vectors.
ICHIGO_CLONES double sum_of_squares(int64_t count, const float* __restrict values) {
  constexpr int kLanes = 16;
  double sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      sums[lane] += static_cast<double>(values[i + lane]) * static_cast<double>(values[i + lane]);
    }
  }
  for (; i < count; ++i) sums[0] += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

ICHIGO_CLONES void add_bfloat16(const uint16_t* __restrict from, float* __restrict to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] += std::bit_cast<float>(static_cast<uint32_t>(from[i]) << 16);
}

ICHIGO_CLONES void add_float(const float* __restrict from, float* __restrict to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] += from[i];
}

}  // namespace ichigo::kernels
