// AVX2 with FMA: sixteen rows are two registers. Loops over the vectors of a tile whose sums are to stay in registers
// are unrolled by order: GCC would store them at every step.
#include "nn/kernels/matrix_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>

#include "nn/kernels/panel_tiles.h"

#define ICHIGO_AVX2 __attribute__((target("avx2,fma,f16c")))

namespace ichigo::kernels {
namespace {

// Broadcast by the load.
using FourBytes [[gnu::may_alias, gnu::aligned(1)]] = int32_t;

template <int V>
ICHIGO_AVX2 inline void store(const __m256 (&sums)[V][2], const PanelTarget& to) {
#pragma GCC unroll 6
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
#pragma GCC unroll 6
  for (int v = 0; v < V; ++v) sums[v][0] = sums[v][1] = _mm256_setzero_ps();
}

struct Float32 {
  static constexpr int kMostVectors = 6;

  template <int V>
  ICHIGO_AVX2 static void run(const uint8_t* panel, const VectorsView& x, int64_t first, const PanelTarget& to) {
    __m256 sums[V][2];
    clear(sums);
    const auto* weights = reinterpret_cast<const float*>(panel);
    const float* from = x.floats + first * x.stride;
    for (int64_t k = 0; k < x.columns; ++k) {
      const __m256 a = _mm256_loadu_ps(weights + k * 16), b = _mm256_loadu_ps(weights + k * 16 + 8);
#pragma GCC unroll 6
      for (int v = 0; v < V; ++v) {
        const __m256 value = _mm256_broadcast_ss(from + v * x.stride + k);
        sums[v][0] = _mm256_fmadd_ps(a, value, sums[v][0]);
        sums[v][1] = _mm256_fmadd_ps(b, value, sums[v][1]);
      }
    }
    store(sums, to);
  }
};

// A bfloat16 is widened by moving it into the upper half of a float.
struct BFloat16 {
  static constexpr int kMostVectors = 4;

  template <int V>
  ICHIGO_AVX2 static void run(const uint8_t* panel, const VectorsView& x, int64_t first, const PanelTarget& to) {
    __m256 sums[V][2];
    clear(sums);
    const __m256i upper = _mm256_set1_epi32(static_cast<int32_t>(0xFFFF0000));
    const uint16_t* from = x.bfloat16 + first * x.stride;
    for (int64_t k = 0; k < x.columns; k += 2) {
      __m256 even[2], odd[2];
      for (int half = 0; half < 2; ++half) {
        const __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(panel + k * 32 + half * 32));
        even[half] = _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
        odd[half] = _mm256_castsi256_ps(_mm256_and_si256(pairs, upper));
      }
#pragma GCC unroll 6
      for (int v = 0; v < V; ++v) {
        const __m256i two = _mm256_set1_epi32(*reinterpret_cast<const FourBytes*>(from + v * x.stride + k));
        const __m256 a = _mm256_castsi256_ps(_mm256_slli_epi32(two, 16));
        const __m256 b = _mm256_castsi256_ps(_mm256_and_si256(two, upper));
        for (int half = 0; half < 2; ++half) {
          sums[v][half] = _mm256_fmadd_ps(odd[half], b, _mm256_fmadd_ps(even[half], a, sums[v][half]));
        }
      }
    }
    store(sums, to);
  }
};

ICHIGO_AVX2 inline __m256 row_scales(const uint8_t* block, int half) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(block + half * 16)));
}

ICHIGO_AVX2 inline __m256i four_columns(const uint8_t* block, int group, int half) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block + 32 + group * 64 + half * 32));
}

// Adds a block's whole sums of eight rows, with the rows' scales and the vector's.
ICHIGO_AVX2 inline void add_scaled(__m256i whole, __m256 rows, float vector, __m256& sum) {
  sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole), _mm256_mul_ps(rows, _mm256_set1_ps(vector)), sum);
}

// |weight| x the vector's byte with the weight's sign, which keeps the sum of two products within 16 bits.
struct Q8 {
  static constexpr int kMostVectors = 6;

  template <int V>
  ICHIGO_AVX2 static void run(const uint8_t* panel, const VectorsView& x, int64_t first, const PanelTarget& to) {
    __m256 sums[V][2];
    clear(sums);
    const int64_t blocks = x.columns / kBlockColumns;
    const int8_t* bytes = x.bytes + first * x.stride;
    const float* scales = x.scales + first * blocks;
    const __m256i ones = _mm256_set1_epi16(1), added = _mm256_set1_epi8(static_cast<int8_t>(128));
    for (int64_t b = 0; b < blocks; ++b) {
      const uint8_t* block = panel + b * panel_bytes(MatrixType::kQ8_0, kBlockColumns);
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        const __m256 rows = row_scales(block, half);
        __m256i whole[V];
#pragma GCC unroll 6
        for (int v = 0; v < V; ++v) whole[v] = _mm256_setzero_si256();
#pragma GCC unroll 8
        for (int j = 0; j < 8; ++j) {
          const __m256i weights = _mm256_sub_epi8(four_columns(block, j, half), added);
          const __m256i magnitude = _mm256_abs_epi8(weights);
#pragma GCC unroll 6
          for (int v = 0; v < V; ++v) {
            const auto* four = reinterpret_cast<const FourBytes*>(bytes + v * x.stride + b * kBlockColumns);
            const __m256i signed_four = _mm256_sign_epi8(_mm256_set1_epi32(four[j]), weights);
            whole[v] =
                _mm256_add_epi32(whole[v], _mm256_madd_epi16(_mm256_maddubs_epi16(magnitude, signed_four), ones));
          }
        }
#pragma GCC unroll 6
        for (int v = 0; v < V; ++v) add_scaled(whole[v], rows, scales[v * blocks + b], sums[v][half]);
      }
    }
    store(sums, to);
  }
};

// Weights as they are stored, 0 to 15: eight times two products of at most 15 x 127 stay within 16 bits, so that a
// whole block takes two instructions for 32 products. Here a tile is large, for weights that are unpacked seldom, and
// its sums wait in the cache.
struct Q4 {
  static constexpr int kMostVectors = 12;

  template <int V>
  ICHIGO_AVX2 static void run(const uint8_t* panel, const VectorsView& x, int64_t first, const PanelTarget& to) {
    __m256 sums[V][2];
    clear(sums);
    const int64_t blocks = x.columns / kBlockColumns;
    const int8_t* bytes = x.bytes + first * x.stride;
    const float* scales = x.scales + first * blocks;
    const int32_t* shifts = x.shifts + first * blocks;
    const __m256i ones = _mm256_set1_epi16(1), low = _mm256_set1_epi8(15);
    for (int64_t b = 0; b < blocks; ++b) {
      const uint8_t* block = panel + b * panel_bytes(MatrixType::kQ4_0, kBlockColumns);
      for (int half = 0; half < 2; ++half) {
        const __m256 rows = row_scales(block, half);
        __m256i weights[8];
        for (int j = 0; j < 4; ++j) {
          const __m256i both = four_columns(block, j, half);
          weights[j] = _mm256_and_si256(both, low);
          weights[j + 4] = _mm256_and_si256(_mm256_srli_epi16(both, 4), low);
        }
        for (int v = 0; v < V; ++v) {
          const auto* four = reinterpret_cast<const FourBytes*>(bytes + v * x.stride + b * kBlockColumns);
          __m256i sum = _mm256_maddubs_epi16(weights[0], _mm256_set1_epi32(four[0]));
          for (int j = 1; j < 8; ++j) {
            sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(weights[j], _mm256_set1_epi32(four[j])));
          }
          const __m256i whole =
              _mm256_add_epi32(_mm256_madd_epi16(sum, ones), _mm256_set1_epi32(shifts[v * blocks + b]));
          add_scaled(whole, rows, scales[v * blocks + b], sums[v][half]);
        }
      }
    }
    store(sums, to);
  }
};

}  // namespace

void multiply_panel_avx2(MatrixType type, const uint8_t* panel, const VectorsView& x, int64_t vectors, float* y,
                         int64_t y_stride, int64_t rows, bool add) {
  // So much of a panel of float32 stays in the first cache while all vectors pass.
  const int64_t at_once = type == MatrixType::kFloat32 ? 256 : x.columns;
  for (int64_t begin = 0; begin < x.columns; begin += at_once) {
    VectorsView part = x;
    part.columns = std::min(at_once, x.columns - begin);
    if (begin > 0) part.floats += begin;
    in_tiles<Float32, BFloat16, Q8, Q4>(type, panel + panel_bytes(type, begin), part, vectors,
                                        {y, y_stride, rows, add || begin > 0});
  }
}

}  // namespace ichigo::kernels

#endif
