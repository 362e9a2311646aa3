// AVX2 with FMA: sixteen rows are two registers. Bytes are multiplied as |weight| x (vector with the weight's sign),
// which keeps the sums of two products within 16 bits.
#include "nn/kernels/matrix_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

#include "nn/kernels/panel_tiles.h"

#define ICHIGO_AVX2 __attribute__((target("avx2,fma,f16c")))

namespace ichigo::kernels {
namespace {

constexpr int kMostVectors = 4;

template <int V>
ICHIGO_AVX2 inline void store(const __m256 (&sums)[V][2], const PanelTarget& to) {
  for (int v = 0; v < V; ++v) {
    float* y = to.y + v * to.stride;
    float row[kPanelRows];
    _mm256_storeu_ps(row, sums[v][0]);
    _mm256_storeu_ps(row + 8, sums[v][1]);
    for (int64_t r = 0; r < to.rows; ++r) y[r] = to.add ? y[r] + row[r] : row[r];
  }
}

template <int V>
ICHIGO_AVX2 inline void clear(__m256 (&sums)[V][2]) {
  for (int v = 0; v < V; ++v) sums[v][0] = sums[v][1] = _mm256_setzero_ps();
}

struct Float32 {
  template <int V>
  ICHIGO_AVX2 static void run(const uint8_t* panel, const VectorsView& x, int64_t first, const PanelTarget& to) {
    __m256 sums[V][2];
    clear(sums);
    const auto* weights = reinterpret_cast<const float*>(panel);
    for (int64_t k = 0; k < x.columns; ++k) {
      const __m256 a = _mm256_loadu_ps(weights + k * 16), b = _mm256_loadu_ps(weights + k * 16 + 8);
      for (int v = 0; v < V; ++v) {
        const __m256 value = _mm256_broadcast_ss(x.floats + (first + v) * x.stride + k);
        sums[v][0] = _mm256_fmadd_ps(a, value, sums[v][0]);
        sums[v][1] = _mm256_fmadd_ps(b, value, sums[v][1]);
      }
    }
    store(sums, to);
  }
};

struct BFloat16 {
  template <int V>
  ICHIGO_AVX2 static void run(const uint8_t* panel, const VectorsView& x, int64_t first, const PanelTarget& to) {
    __m256 sums[V][2];
    clear(sums);
    const __m256i upper = _mm256_set1_epi32(static_cast<int32_t>(0xFFFF0000));
    for (int64_t k = 0; k < x.columns; k += 2) {
      for (int half = 0; half < 2; ++half) {
        const __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(panel + k * 32 + half * 32));
        const __m256 even = _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
        const __m256 odd = _mm256_castsi256_ps(_mm256_and_si256(pairs, upper));
        for (int v = 0; v < V; ++v) {
          const uint16_t* two = x.bfloat16 + (first + v) * x.stride + k;
          const __m256 a = _mm256_castsi256_ps(_mm256_set1_epi32(static_cast<int32_t>(uint32_t{two[0]} << 16)));
          const __m256 b = _mm256_castsi256_ps(_mm256_set1_epi32(static_cast<int32_t>(uint32_t{two[1]} << 16)));
          sums[v][half] = _mm256_fmadd_ps(odd, b, _mm256_fmadd_ps(even, a, sums[v][half]));
        }
      }
    }
    store(sums, to);
  }
};

template <MatrixType type>
struct Bytes {
  static constexpr int32_t kAdded = type == MatrixType::kQ8_0 ? 128 : 8;

  template <int V>
  ICHIGO_AVX2 static void run(const uint8_t* panel, const VectorsView& x, int64_t first, const PanelTarget& to) {
    __m256 sums[V][2];
    clear(sums);
    const int64_t blocks = x.columns / kBlockColumns;
    const __m256i ones = _mm256_set1_epi16(1), low = _mm256_set1_epi8(15);
    const __m256i added = _mm256_set1_epi8(static_cast<int8_t>(kAdded));
    for (int64_t b = 0; b < blocks; ++b) {
      const uint8_t* block = panel + b * panel_bytes(type, kBlockColumns);
      for (int half = 0; half < 2; ++half) {
        const __m256 row_scales = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(block + half * 16)));
        __m256i whole[V];
        for (int v = 0; v < V; ++v) whole[v] = _mm256_setzero_si256();
        for (int j = 0; j < 8; ++j) {
          const int stored = type == MatrixType::kQ8_0 ? j : j % 4;
          __m256i weights = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block + 32 + stored * 64 + half * 32));
          if constexpr (type == MatrixType::kQ4_0) {
            weights = _mm256_and_si256(j < 4 ? weights : _mm256_srli_epi16(weights, 4), low);
          }
          weights = _mm256_sub_epi8(weights, added);
          const __m256i magnitude = _mm256_abs_epi8(weights);
          for (int v = 0; v < V; ++v) {
            int32_t four;
            std::memcpy(&four, x.bytes + (first + v) * x.stride + b * kBlockColumns + j * 4, sizeof(four));
            const __m256i products =
                _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(_mm256_set1_epi32(four), weights));
            whole[v] = _mm256_add_epi32(whole[v], _mm256_madd_epi16(products, ones));
          }
        }
        for (int v = 0; v < V; ++v) {
          const __m256 scale = _mm256_mul_ps(row_scales, _mm256_set1_ps(x.scales[(first + v) * blocks + b]));
          sums[v][half] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole[v]), scale, sums[v][half]);
        }
      }
    }
    store(sums, to);
  }
};

}  // namespace

void multiply_panel_avx2(MatrixType type, const uint8_t* panel, const VectorsView& x, int64_t vectors, float* y,
                         int64_t y_stride, int64_t rows, bool add) {
  in_tiles<Float32, BFloat16, Bytes<MatrixType::kQ8_0>, Bytes<MatrixType::kQ4_0>, kMostVectors>(
      type, panel, x, vectors, {y, y_stride, rows, add});
}

}  // namespace ichigo::kernels

#endif
