#include "nn/kernels/row_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/clones.h"

namespace ichigo::kernels {
namespace {

// exp by range reduction to 2^n * 2^f and a polynomial for 2^f, |f| <= 1/2; relative error below 2e-7.
[[gnu::always_inline]] inline float fast_exp(float x) {
  x = x < -87.0F ? -87.0F : x;
  x = x > 88.0F ? 88.0F : x;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to a whole number
  const float shifted = x * 1.44269504088896341F + kRound;
  const float n = shifted - kRound;
  const float f = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * f + 1.3981999507e-3F;
  p = p * f + 8.3334519073e-3F;
  p = p * f + 4.1665795894e-2F;
  p = p * f + 1.6666665459e-1F;
  p = p * f + 5.0000001201e-1F;
  p = p * f * f + f + 1.0F;
  const auto exponent = static_cast<uint32_t>(std::bit_cast<int32_t>(shifted) - std::bit_cast<int32_t>(kRound) + 127);
  return p * std::bit_cast<float>(exponent << 23);
}

[[gnu::always_inline]] inline float sigmoid(float x) { return 1.0F / (1.0F + fast_exp(-x)); }

}  // namespace

ICHIGO_CLONES void widen(const uint16_t* from, float* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = std::bit_cast<float>(static_cast<uint32_t>(from[i]) << 16);
}

ICHIGO_CLONES void narrow(const float* from, uint16_t* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const auto bits = std::bit_cast<uint32_t>(from[i]);
    const uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
    const bool nan = (bits & 0x7FFFFFFFU) > 0x7F800000U;
    to[i] = static_cast<uint16_t>(nan ? 0x7FC0U : rounded);
  }
}

ICHIGO_CLONES float rms_norm(const float* x, const float* weight, int64_t count, float epsilon, float* y) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i) sum += x[i] * x[i];
  const float rstd = 1.0F / std::sqrt(sum / static_cast<float>(count) + epsilon);
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] * rstd * weight[i];
  return rstd;
}

ICHIGO_CLONES void rms_norm_backward(const float* x, const float* weight, const float* dy, float rstd, int64_t count,
                                     float* dx, float* dweight) {
  float dot = 0;
#pragma omp simd reduction(+ : dot)
  for (int64_t i = 0; i < count; ++i) dot += dy[i] * weight[i] * x[i];
  const float scale = dot * rstd * rstd / static_cast<float>(count);
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    dweight[i] += dy[i] * x[i] * rstd;
    dx[i] = rstd * (dy[i] * weight[i] - x[i] * scale);
  }
}

ICHIGO_CLONES void swiglu(const float* gate, const float* up, int64_t count, float* y) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) y[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

ICHIGO_CLONES void swiglu_backward(const float* gate, const float* up, const float* dy, int64_t count, float* dgate,
                                   float* dup) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const float s = sigmoid(gate[i]);
    const float silu = gate[i] * s;
    dgate[i] = dy[i] * up[i] * (s + silu * (1.0F - s));
    dup[i] = dy[i] * silu;
  }
}

ICHIGO_CLONES void rotate(const float* x, const float* cosine, const float* sine, int64_t half, float sign, float* y) {
#pragma omp simd
  for (int64_t i = 0; i < half; ++i) {
    const float a = x[i];
    const float b = x[i + half];
    const float s = sign * sine[i];
    y[i] = a * cosine[i] - b * s;
    y[i + half] = b * cosine[i] + a * s;
  }
}

ICHIGO_CLONES void softmax(float* x, int64_t count, float scale) {
  float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < count; ++i) largest = x[i] > largest ? x[i] : largest;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i) {
    x[i] = fast_exp((x[i] - largest) * scale);
    sum += x[i];
  }
  const float inverse = 1.0F / sum;
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) x[i] *= inverse;
}

ICHIGO_CLONES void softmax_backward(const float* y, float* dy, int64_t count, float scale) {
  float dot = 0;
#pragma omp simd reduction(+ : dot)
  for (int64_t i = 0; i < count; ++i) dot += y[i] * dy[i];
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) dy[i] = scale * y[i] * (dy[i] - dot);
}

template <int64_t rows>
[[gnu::always_inline]] inline void product(const float* a, int64_t a_row, int64_t a_inner, int64_t inner_begin,
                                           int64_t inner_end, const float* b, int64_t b_row, float* c, int64_t c_row,
                                           int64_t columns, bool add) {
  for (int64_t column = 0; column < columns; column += kTileColumns) {
    float sums[rows][kTileColumns] = {};
    for (int64_t k = inner_begin; k < inner_end; ++k) {
      const float* right = b + k * b_row + column;
#pragma GCC unroll 8
      for (int64_t r = 0; r < rows; ++r) {
        const float left = a[r * a_row + k * a_inner];
#pragma omp simd
        for (int64_t j = 0; j < kTileColumns; ++j) sums[r][j] += left * right[j];
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      float* to = c + r * c_row + column;
      for (int64_t j = 0; j < kTileColumns; ++j) to[j] = add ? to[j] + sums[r][j] : sums[r][j];
    }
  }
}

ICHIGO_CLONES void tile_product(const float* a, int64_t a_row, int64_t a_inner, int64_t inner_begin, int64_t inner_end,
                                const float* b, int64_t b_row, float* c, int64_t c_row, int64_t columns, bool add,
                                int64_t rows) {
  switch (rows) {
    case 8: return product<8>(a, a_row, a_inner, inner_begin, inner_end, b, b_row, c, c_row, columns, add);
    case 4: return product<4>(a, a_row, a_inner, inner_begin, inner_end, b, b_row, c, c_row, columns, add);
    case 3: return product<3>(a, a_row, a_inner, inner_begin, inner_end, b, b_row, c, c_row, columns, add);
    default:
      for (int64_t r = 0; r < rows; ++r) {
        product<1>(a + r * a_row, a_row, a_inner, inner_begin, inner_end, b, b_row, c + r * c_row, c_row, columns, add);
      }
  }
}

ICHIGO_CLONES float cross_entropy_gradient(float* logits, int64_t count, int64_t target) {
  float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
  for (int64_t i = 0; i < count; ++i) largest = logits[i] > largest ? logits[i] : largest;
  const float target_logit = logits[target];
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < count; ++i) {
    logits[i] = fast_exp(logits[i] - largest);
    sum += logits[i];
  }
  const float inverse = 1.0F / sum;
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) logits[i] *= inverse;
  logits[target] -= 1.0F;
  return std::log(sum) + largest - target_logit;
}

}  // namespace ichigo::kernels
