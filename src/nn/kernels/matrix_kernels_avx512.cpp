// AVX-512: VNNI for bytes, BF16 for bfloat16. One load of weights serves up to twelve vectors, whose sums stay in
// registers; each value of a vector is broadcast from memory within the instruction that multiplies it.
#include "nn/kernels/matrix_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "nn/kernels/panel_tiles.h"

// GCC 12 warns of registers that its own intrinsics leave undefined on purpose.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define ICHIGO_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,avx512bf16,avx2,fma,f16c")))

namespace ichigo::kernels {
namespace {

// What keeps the sums of a tile in the 32 registers.
struct TwelveVectors {
  static constexpr int kMostVectors = 12;
};

// Broadcast by the load.
using FourBytes [[gnu::may_alias, gnu::aligned(1)]] = int32_t;

template <int V>
ICHIGO_AVX512 inline void store(const __m512 (&sums)[V], const PanelTarget& to) {
  const auto mask = static_cast<__mmask16>((1U << to.rows) - 1U);
  for (int v = 0; v < V; ++v) {
    float* y = to.y + v * to.stride;
    const __m512 sum = to.add ? _mm512_add_ps(sums[v], _mm512_maskz_loadu_ps(mask, y)) : sums[v];
    _mm512_mask_storeu_ps(y, mask, sum);
  }
}

// Two sums per vector hide the latency of the additions when there are few vectors.
struct Float32 : TwelveVectors {
  template <int V>
  ICHIGO_AVX512 static void run(const uint8_t* panel, const VectorsView& x, int64_t first, const PanelTarget& to) {
    __m512 even[V], odd[V];
    for (int v = 0; v < V; ++v) even[v] = odd[v] = _mm512_setzero_ps();
    const float* from = x.floats + first * x.stride;
    for (int64_t k = 0; k < x.columns; k += 2) {
      const __m512 a = _mm512_loadu_ps(panel + k * 64), b = _mm512_loadu_ps(panel + k * 64 + 64);
      for (int v = 0; v < V; ++v) {
        even[v] = _mm512_fmadd_ps(a, _mm512_set1_ps(from[v * x.stride + k]), even[v]);
        odd[v] = _mm512_fmadd_ps(b, _mm512_set1_ps(from[v * x.stride + k + 1]), odd[v]);
      }
    }
    for (int v = 0; v < V; ++v) even[v] = _mm512_add_ps(even[v], odd[v]);
    store(even, to);
  }
};

struct BFloat16 : TwelveVectors {
  template <int V>
  ICHIGO_AVX512 static void run(const uint8_t* panel, const VectorsView& x, int64_t first, const PanelTarget& to) {
    __m512 even[V], odd[V];
    for (int v = 0; v < V; ++v) even[v] = odd[v] = _mm512_setzero_ps();
    const uint16_t* from = x.bfloat16 + first * x.stride;
    for (int64_t k = 0; k < x.columns; k += 4) {
      const auto a = (__m512bh)_mm512_loadu_si512(panel + k * 32),
                 b = (__m512bh)_mm512_loadu_si512(panel + k * 32 + 64);
      for (int v = 0; v < V; ++v) {
        const auto* pairs = reinterpret_cast<const FourBytes*>(from + v * x.stride + k);
        even[v] = _mm512_dpbf16_ps(even[v], a, (__m512bh)_mm512_set1_epi32(pairs[0]));
        odd[v] = _mm512_dpbf16_ps(odd[v], b, (__m512bh)_mm512_set1_epi32(pairs[1]));
      }
    }
    for (int v = 0; v < V; ++v) even[v] = _mm512_add_ps(even[v], odd[v]);
    store(even, to);
  }
};

template <MatrixType type>
struct Bytes : TwelveVectors {
  template <int V>
  ICHIGO_AVX512 static void run(const uint8_t* panel, const VectorsView& x, int64_t first, const PanelTarget& to) {
    __m512 sums[V];
    for (int v = 0; v < V; ++v) sums[v] = _mm512_setzero_ps();
    const int64_t blocks = x.columns / kBlockColumns;
    const int8_t* bytes = x.bytes + first * x.stride;
    const float* scales = x.scales + first * blocks;
    const int32_t* shifts = x.shifts + first * blocks;
    const __m512i low = _mm512_set1_epi8(15);
    for (int64_t b = 0; b < blocks; ++b) {
      const uint8_t* block = panel + b * panel_bytes(type, kBlockColumns);
      const __m512 row_scales = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(block)));
      __m512i weights[8];
      if constexpr (type == MatrixType::kQ8_0) {
        for (int j = 0; j < 8; ++j) weights[j] = _mm512_loadu_si512(block + 32 + j * 64);
      } else {
        for (int j = 0; j < 4; ++j) {
          const __m512i both = _mm512_loadu_si512(block + 32 + j * 64);
          weights[j] = _mm512_and_si512(both, low);
          weights[j + 4] = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
        }
      }
      for (int v = 0; v < V; ++v) {
        const auto* four = reinterpret_cast<const FourBytes*>(bytes + v * x.stride + b * kBlockColumns);
        __m512i sum = _mm512_set1_epi32(shifts[v * blocks + b]);
        for (int j = 0; j < 8; ++j) sum = _mm512_dpbusd_epi32(sum, weights[j], _mm512_set1_epi32(four[j]));
        const __m512 scale = _mm512_mul_ps(row_scales, _mm512_set1_ps(scales[v * blocks + b]));
        sums[v] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, sums[v]);
      }
    }
    store(sums, to);
  }
};

}  // namespace

void multiply_panel_avx512(MatrixType type, const uint8_t* panel, const VectorsView& x, int64_t vectors, float* y,
                           int64_t y_stride, int64_t rows, bool add) {
  in_tiles<Float32, BFloat16, Bytes<MatrixType::kQ8_0>, Bytes<MatrixType::kQ4_0>>(type, panel, x, vectors,
                                                                                  {y, y_stride, rows, add});
}

}  // namespace ichigo::kernels

#endif
