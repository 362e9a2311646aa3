// The portable kernels, which are the others' reference too, and the choice among them.
#include "nn/kernels/matrix_kernels.h"

#include <c10/util/Half.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "base/clones.h"

namespace ichigo::kernels {
namespace {

template <typename T>
T read(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

float widened(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

void add_float32(const uint8_t* panel, const float* x, int64_t columns, float* sums) {
  for (int64_t k = 0; k < columns; ++k) {
    for (int64_t r = 0; r < kPanelRows; ++r) sums[r] += read<float>(panel + (k * kPanelRows + r) * 4) * x[k];
  }
}

void add_bfloat16(const uint8_t* panel, const uint16_t* x, int64_t columns, float* sums) {
  for (int64_t k = 0; k < columns; k += 2) {
    for (int64_t r = 0; r < kPanelRows; ++r) {
      const uint8_t* pair = panel + (k * kPanelRows + r * 2) * 2;
      sums[r] += widened(read<uint16_t>(pair)) * widened(x[k]) + widened(read<uint16_t>(pair + 2)) * widened(x[k + 1]);
    }
  }
}

// A block of 32 columns of sixteen rows; weight(k, r) is column k of row r, with what was added to it.
template <typename Weight>
void add_block(const uint8_t* scales, const int8_t* x, float scale, int32_t shift, float* sums, const Weight& weight) {
  for (int64_t r = 0; r < kPanelRows; ++r) {
    int32_t sum = shift;
    for (int64_t k = 0; k < kBlockColumns; ++k) sum += weight(k, r) * x[k];
    const float row_scale = c10::detail::fp16_ieee_to_fp32_value(read<uint16_t>(scales + r * 2));
    sums[r] += static_cast<float>(sum) * (row_scale * scale);
  }
}

}  // namespace

void multiply_panel_portable(MatrixType type, const uint8_t* panel, const VectorsView& x, int64_t vectors, float* y,
                             int64_t y_stride, int64_t rows, bool add) {
  const int64_t blocks = x.columns / kBlockColumns;
  for (int64_t v = 0; v < vectors; ++v) {
    float sums[kPanelRows] = {};
    if (type == MatrixType::kFloat32) add_float32(panel, x.floats + v * x.stride, x.columns, sums);
    if (type == MatrixType::kBFloat16) add_bfloat16(panel, x.bfloat16 + v * x.stride, x.columns, sums);
    if (type == MatrixType::kQ8_0 || type == MatrixType::kQ4_0) {
      for (int64_t b = 0; b < blocks; ++b) {
        const uint8_t* block = panel + b * panel_bytes(type, kBlockColumns);
        const uint8_t* weights = block + 32;
        const int8_t* bytes = x.bytes + v * x.stride + b * kBlockColumns;
        const float scale = x.scales[v * blocks + b];
        const int32_t shift = x.shifts[v * blocks + b];
        if (type == MatrixType::kQ8_0) {
          add_block(block, bytes, scale, shift, sums,
                    [&](int64_t k, int64_t r) -> int32_t { return weights[k / 4 * 64 + r * 4 + k % 4]; });
        } else {
          add_block(block, bytes, scale, shift, sums, [&](int64_t k, int64_t r) -> int32_t {
            return weights[k % 16 / 4 * 64 + r * 4 + k % 4] >> (k / 16 * 4) & 15;
          });
        }
      }
    }
    float* to = y + v * y_stride;
    for (int64_t r = 0; r < rows; ++r) to[r] = add ? to[r] + sums[r] : sums[r];
  }
}

bool supported(InstructionSet set, MatrixType type) {
  if (set == InstructionSet::kPortable) return true;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (set == InstructionSet::kAvx2) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  }
  const bool base =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  if (!base || type == MatrixType::kFloat32) return base;
  return type == MatrixType::kBFloat16 ? __builtin_cpu_supports("avx512bf16") : __builtin_cpu_supports("avx512vnni");
#else
  (void)type;
  return false;
#endif
}

InstructionSet fastest(MatrixType type) {
  for (const InstructionSet set : {InstructionSet::kAvx512, InstructionSet::kAvx2}) {
    if (supported(set, type)) return set;
  }
  return InstructionSet::kPortable;
}

void multiply_panel(InstructionSet set, MatrixType type, const uint8_t* panel, const VectorsView& x, int64_t vectors,
                    float* y, int64_t y_stride, int64_t rows, bool add) {
  switch (set) {
#if defined(__x86_64__)
    case InstructionSet::kAvx2:
      return multiply_panel_avx2(type, panel, x, vectors, y, y_stride, rows, add);
    case InstructionSet::kAvx512:
      return multiply_panel_avx512(type, panel, x, vectors, y, y_stride, rows, add);
#endif
    default:
      return multiply_panel_portable(type, panel, x, vectors, y, y_stride, rows, add);
  }
}

ICHIGO_CLONES void quantize_vector(const float* x, int64_t blocks, int32_t added, int8_t* bytes, float* scales,
                                   int32_t* shifts) {
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to a whole number
  for (int64_t b = 0; b < blocks; ++b) {
    const float* from = x + b * kBlockColumns;
    int8_t* to = bytes + b * kBlockColumns;
    float largest = 0;
#pragma omp simd reduction(max : largest)
    for (int64_t i = 0; i < kBlockColumns; ++i) largest = std::fabs(from[i]) > largest ? std::fabs(from[i]) : largest;
    const float scale = largest / 127.0F;
    const float inverse = largest > 0 ? 127.0F / largest : 0.0F;
    int32_t sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < kBlockColumns; ++i) {
      const int32_t whole = std::bit_cast<int32_t>(from[i] * inverse + kRound) - std::bit_cast<int32_t>(kRound);
      to[i] = static_cast<int8_t>(whole);
      sum += whole;
    }
    scales[b] = scale;
    shifts[b] = -added * sum;
  }
}

}  // namespace ichigo::kernels
